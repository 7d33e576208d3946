"""The scorecard as a self-contained, printable HTML file without scripts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from archprep.core.files import PACKAGE
from archprep.core.sanitize import sanitize
from archprep.report import causes, wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from archprep.core.model import Scorecard

_MAX_SOURCE = 1_000_000  # characters of one source file


def to_html(
    scorecard: Scorecard,
    *,
    source: Mapping[str, str] | None = None,
    discussion: str | None = None,
    public: tuple[int, int] | None = None,
    repeat: causes.Repeat = None,
) -> str:
    """Return the report as a self-contained document.

    `source` maps the submission's file names to their text, `discussion` is the candidate's
    DISCUSSION.md; both are optional. `public` is (passed, all) of the public examples.
    """
    files = numbered(source or {})
    return render(
        "report/report.html.j2",
        ("report/report.css",),
        card=scorecard,
        files=files,
        file_of={name: number for number, (name, _) in enumerate(files)},
        discussion=sanitize(discussion, _MAX_SOURCE).strip() if discussion else "",
        public=public,
        **facts(scorecard, repeat),
    )


def render(template: str, styles: tuple[str, ...], **values: Any) -> str:
    """Render a template with these style sheets inlined and a policy that allows no others."""
    from markupsafe import Markup

    css = "".join(template_text(name) for name in styles)
    return (
        environment()
        .get_template(template)
        .render(
            css=Markup(css),  # noqa: S704 (files of this package, not of a candidate)
            css_hash=_csp_hash(css),
            **values,
        )
    )


def facts(scorecard: Scorecard, repeat: causes.Repeat = None) -> dict[str, Any]:
    """Return what the templates need in addition to the scorecard itself."""
    found = causes.find_causes(scorecard, repeat)
    numbers = {result.id: n for n, cause in enumerate(found, 1) for result in cause.results}
    return {
        "causes": found,
        "cause_of": numbers,
        "tasks": list(wording.task_views(scorecard)),
        "title": f"{scorecard.exercise} {sanitize(scorecard.title, 200)}",
        "when": wording.started_at(scorecard),
        "sums": wording.passed_summary(scorecard),
        "weak": wording.is_weak(scorecard.isolation),
    }


def numbered(source: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the lines of each file, without the empty one after the last newline."""
    return [
        (sanitize(name, 300), sanitize(text, _MAX_SOURCE).removesuffix("\n").split("\n"))
        for name, text in sorted(source.items())
    ]


@functools.cache
def environment() -> Environment:
    """Return the cached template environment, which escapes everything."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(template_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        state_label=wording.state_label,
        plural=wording.plural,
        points=wording.points,
        sanitize=sanitize,
        share=wording.share,
        raised_at=wording.raised_at,
        short_isolation=wording.isolation,
    )
    return environment


def _csp_hash(css: str) -> str:
    """Return the hash by which the browser accepts this style sheet and no other."""
    import base64
    import hashlib

    return "sha256-" + base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()


def template_text(name: str) -> str:
    """Return a template, style sheet or script by package and file: `report/report.css`."""
    package, _, file = name.partition("/")
    return (PACKAGE / package / "templates" / file).read_text("utf-8")
