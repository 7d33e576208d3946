"""Answers are shown next to the rubric."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from conftest import write_tree
from interview.reports.page_samples import DISCUSSION, page_of, source_with, visible_text
from interview.reports.result_values import card, criterion

from archprep.interview.model import Graded

if TYPE_CHECKING:
    from pathlib import Path


def test_answers_stand_beside_the_rubric() -> None:
    """Each prompt has its own; the prompt is told from what was written."""
    said = DISCUSSION.replace("at length.\n", "at length.\n\nBecause it adds.\n")
    document = page_of(Graded("q1", card(criterion("a")), source=source_with(DISCUSSION__md=said)))
    first, second = document.split('<div class="answer">')[1:]
    assert '<p class="quiet">1. Why? Say why at length.</p>' in first
    assert '<pre class="prose">Because it adds.</pre>' in first
    assert re.search(
        r"Why\?</h4>\s*<p class=\"label\">strong</p>.*simple.*weak.*magic", first, re.DOTALL
    )
    assert "No answer." not in first
    assert "No answer." in second
    assert "<li>other</li>" in second


def test_answers_without_the_prompts_stand_beside_the_whole_rubric() -> None:
    source = source_with(DISCUSSION__md="All my own words.\n")
    document = page_of(Graded("q1", card(criterion("a")), source=source))
    (only,) = document.split('<div class="answer">')[1:]
    for piece in ("All my own words.", "simple", "other"):
        assert piece in only


@pytest.mark.parametrize(
    "rubric",
    ["Why?: [simple]\n", "- simple\n", "Why?: {strong: simple, deep: {a: b}}\n", "- [simple]\n"],
)
def test_a_rubric_may_have_any_form(content: Path, rubric: str) -> None:
    (folder,) = (content / "solutions").glob("q01_*")
    write_tree(folder, {"rubric.yaml": rubric})
    assert "simple" in page_of(Graded("q1", card(criterion("a")), source=source_with()))


def test_an_exercise_that_is_gone_can_still_be_shown() -> None:
    gone = Graded("q99", card(criterion("a"), exercise="q99"), source={"a.py": "x = 1\n"})
    text = visible_text(page_of(gone))
    assert "No rubric and no comparison with the starter" in text
    assert "x = 1" in text
