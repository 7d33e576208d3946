"""The scorecard as one HTML file that needs nothing else: no scripts, no network, prints well."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from archprep.core.files import PACKAGE
from archprep.core.sanitize import sanitize
from archprep.report import causes, view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from archprep.core.model import Scorecard

_SOURCE = 1_000_000  # characters of one source file


def to_html(
    scorecard: Scorecard,
    *,
    source: Mapping[str, str] | None = None,
    discussion: str | None = None,
    public: tuple[int, int] | None = None,
    repeat: causes.Repeat = None,
) -> str:
    """The whole report as a self-contained document.

    `source` maps the submission's file names to their text, `discussion` is what the candidate
    wrote in DISCUSSION.md; both are left out when not given.
    """
    files = numbered(source or {})
    return render(
        "report/report.html.j2",
        ("report/report.css",),
        card=scorecard,
        files=files,
        file_of={name: number for number, (name, _) in enumerate(files)},
        discussion=sanitize(discussion, _SOURCE).strip() if discussion else "",
        public=public,
        **facts(scorecard, repeat),
    )


def render(template: str, styles: tuple[str, ...], **values: Any) -> str:
    """A page of this package, with these style sheets in it and a policy that allows no others."""
    from markupsafe import Markup

    css = "".join(text(name) for name in styles)
    return (
        environment()
        .get_template(template)
        .render(
            css=Markup(css),  # noqa: S704 (files of this package, not text of a candidate)
            css_hash=_csp_hash(css),
            **values,
        )
    )


def facts(scorecard: Scorecard, repeat: causes.Repeat = None) -> dict[str, Any]:
    """What the templates need to know of a scorecard beside itself."""
    blocks = causes.blocks(scorecard, repeat)
    numbers = {r.id: n for n, block in enumerate(blocks, 1) for r in block.results}
    return {
        "blocks": blocks,
        "block_of": numbers,
        "tasks": list(view.tasks(scorecard)),
        "title": f"{scorecard.exercise} {sanitize(scorecard.title, 200)}",
        "when": view.when(scorecard),
        "sums": view.sums(scorecard),
        "weak": view.weak(scorecard.isolation),
    }


def numbered(source: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Each file's lines, without the empty one after the last newline."""
    return [
        (sanitize(name, 300), sanitize(text, _SOURCE).removesuffix("\n").split("\n"))
        for name, text in sorted(source.items())
    ]


@functools.cache
def environment() -> Environment:
    """The templates of this package; everything is escaped. Kept: a batch has hundreds of pages."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(word=view.word, plural=view.plural, sanitize=sanitize)
    return environment


def _csp_hash(css: str) -> str:
    """The hash by which the browser accepts our style sheet and no other."""
    import base64
    import hashlib

    return "sha256-" + base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()


def text(name: str) -> str:
    """A template, style sheet or script, named with its package: `report/report.css`."""
    package, _, file = name.partition("/")
    return (PACKAGE / package / "templates" / file).read_text("utf-8")
