"""Pages about a candidate and a batch, also of hostile ones."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

from interview.reports.hostile_values import hostile
from interview.reports.result_values import BATCH, received
from report.samples import (
    SUBMISSION,
)

from archprep.core.model import SubmittedFile
from archprep.interview.model import Graded, Kit, KitExercise, Result
from archprep.interview.reports import pages, statistics

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


DISCUSSION = "# Talk\n\n1. **Why?** Say why\n   at length.\n2. **What else?** Say it.\n"
RUBRIC = "- prompt: Why?\n  strong: [simple]\n  weak: [magic]\n- prompt: Else\n  strong: [other]\n"
STARTER = "def add(a: int, b: int) -> int:\n    raise NotImplementedError\n"
ANSWER = "def add(a: int, b: int) -> int:\n    return a + b\n"


def source_with(**files: str) -> dict[str, str]:
    """A submission with these files changed, and the rest as in the starter."""
    given = {"answer.py": STARTER, "test_examples.py": "def test_nothing() -> None: ...\n"}
    named = {name.replace("__", "."): text for name, text in files.items()}
    return given | {"DISCUSSION.md": DISCUSSION} | named


def page_of(graded: Graded, **changes: object) -> str:
    return pages.report(Result(received(**changes), (graded,)), BATCH)


def index_of(*results: Result) -> str:
    return pages.index(results, BATCH, statistics.of(results))


def visible_text(document: str) -> str:
    """What a reader sees, on one line."""
    plain = re.sub(r"<style>.*?</style>|<[^>]*>", " ", document, flags=re.DOTALL)
    for entity, char in (("&#39;", "'"), ("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">")):
        plain = plain.replace(entity, char)
    return " ".join(plain.replace("&amp;", "&").split())


def hostile__page(text: str) -> str:
    one = hostile(text)
    submission = replace(SUBMISSION, files=(SubmittedFile(text, "00", 1),))
    graded = replace(
        one.graded[0],
        scorecard=replace(one.graded[0].scorecard, submission=submission),
        source=source_with(answer__py=f"{text}\n{ANSWER}", DISCUSSION__md=f"{DISCUSSION}{text}\n")
        | {text: text},
    )
    kit = Kit(text, 90, text, text, (KitExercise(text, text, 1, text),))
    about = replace(one.received, kit=kit, reported={text: {text: [text]}}, problem=text)
    return pages.report(Result(about, (graded, one.graded[1])), BATCH)


def hostile__index(text: str) -> str:
    one = hostile(text)
    return index_of(one, replace(one, received=replace(one.received, problem=text)))
