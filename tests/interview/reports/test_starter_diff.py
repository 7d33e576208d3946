"""What a candidate changed is compared with the starter, in bounded time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conftest import write_tree
from interview.reports.page_samples import ANSWER, page_of, source_with
from interview.reports.result_values import card, criterion

from archprep.interview.model import Graded

if TYPE_CHECKING:
    from pathlib import Path


def test_what_the_candidate_changed_is_compared_with_the_starter() -> None:
    """Changed lines, new files and missing files."""
    source = source_with(answer__py=ANSWER, more__py="x = 1\n")
    del source["test_examples.py"]
    document = page_of(Graded("q1", card(criterion("a")), source=source))
    assert '<span class="del">-    raise NotImplementedError</span>' in document
    assert '<span class="add">+    return a + b</span>' in document
    assert "Not in the starter: more.py" in document
    assert "In the starter, but not submitted: test_examples.py" in document


def test_unchanged_files_are_named_but_not_shown() -> None:
    """Only what the candidate wrote is shown."""
    document = page_of(Graded("q1", card(criterion("a")), source=source_with(answer__py=ANSWER)))
    assert "As in the starter: test_examples.py" in document
    assert "test_nothing" not in document
    assert "return a + b" in document


def test_lines_are_counted_as_they_are_shown() -> None:
    """A carriage return ends a line, too, so it cannot get around the limit."""
    source = source_with(answer__py="x\r" * 30_000)
    document = page_of(Graded("q1", card(criterion("a")), source=source))
    assert "Too long to compare: answer.py" in document


def test_comparing_takes_bounded_time(content: Path) -> None:
    """Even in the worst case: a long starter whose lines are repeated in reverse."""
    lines = [f"line {n}\n" for n in range(300)]
    (folder,) = (content / "exercises").glob("q01_*")
    write_tree(folder, {"starter/answer.py": "".join(lines)})
    source = source_with(answer__py="".join(lines[::-1] * 16))
    start = time.monotonic()
    page_of(Graded("q1", card(criterion("a")), source=source))
    assert time.monotonic() - start < 5
