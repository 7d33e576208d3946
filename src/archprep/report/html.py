"""The scorecard as one HTML file that needs nothing else: no scripts, no network, prints well."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from archprep.clean import clean
from archprep.report import view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archprep.model import Scorecard

_SOURCE = 1_000_000  # characters of one source file


def to_html(
    scorecard: Scorecard,
    *,
    source: Mapping[str, str] | None = None,
    discussion: str | None = None,
    public: tuple[int, int] | None = None,
    repeat: view.Repeat = None,
) -> str:
    """The whole report as a self-contained document.

    `source` maps the submission's file names to their text, `discussion` is what the candidate
    wrote in DISCUSSION.md; both are left out when not given.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415

    css = _read("report.css")
    environment = Environment(
        loader=DictLoader({"report": _read("report.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(word=view.word, plural=view.plural)
    facts = _facts(scorecard, repeat)
    return environment.get_template("report").render(
        card=scorecard,
        css=css,
        css_hash=_csp_hash(css),
        files=_files(source or {}),
        discussion=clean(discussion, _SOURCE).strip() if discussion else "",
        public=public,
        **facts,
    )


def _facts(scorecard: Scorecard, repeat: view.Repeat) -> dict[str, Any]:
    blocks = view.blocks(scorecard, repeat)
    numbers = {r.id: n for n, block in enumerate(blocks, 1) for r in block.results}
    return {
        "blocks": blocks,
        "block_of": numbers,
        "tasks": list(view.tasks(scorecard)),
        "title": f"{scorecard.exercise} {clean(scorecard.title, 200)}",
        "when": view.when(scorecard),
        "sums": view.sums(scorecard),
        "weak": view.weak(scorecard),
        "clean": clean,
    }


def _files(source: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    return [
        (clean(name, 300), clean(text, _SOURCE).split("\n")) for name, text in sorted(source.items())
    ]


def _csp_hash(css: str) -> str:
    """The hash by which the browser accepts our style sheet and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()


def _read(name: str) -> str:
    return resources.files("archprep").joinpath("templates", name).read_text("utf-8")
