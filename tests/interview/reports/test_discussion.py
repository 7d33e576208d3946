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


def test_answers_are_shown_next_to_the_rubric() -> None:
    """Each prompt has its own; prompts and answers look different."""
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


def test_answers_without_prompts_are_shown_next_to_the_whole_rubric() -> None:
    """There is no telling which answer belongs to which prompt."""
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
    """A mapping, or a list of texts, lists or mappings."""
    (folder,) = (content / "solutions").glob("q01_*")
    write_tree(folder, {"rubric.yaml": rubric})
    assert "simple" in page_of(Graded("q1", card(criterion("a")), source=source_with()))


def test_an_exercise_that_is_gone_can_still_be_shown() -> None:
    """A results folder outlives the exercises."""
    gone = Graded("q99", card(criterion("a"), exercise="q99"), source={"a.py": "x = 1\n"})
    text = visible_text(page_of(gone))
    assert "No rubric and no comparison with the starter" in text
    assert "x = 1" in text
