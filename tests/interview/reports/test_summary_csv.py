"""A row per candidate, in which nothing is a formula (attack 65)."""

from __future__ import annotations

import csv
import io
import re

import pytest
from interview.reports.hostile_values import FORMULAS, hostile
from interview.reports.result_values import card, criterion, received, result
from report.samples import SAMPLES
from report.test_html import ATTACKS

from archprep.interview.model import Graded, Result
from archprep.interview.reports import summary_csv


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_one_row_for_each_candidate() -> None:
    """With the scores, the totals and the problems."""
    one = result("Ada", card(criterion("a", points=60)), card(criterion("a"), exercise="q3"))
    broken = Result(received("Bob", problem="Bob.zip is not a zip archive"), ())
    ada, bob = _rows(summary_csv.table([one, broken]))
    assert (ada["percent"], bob["percent"]) == ("35", "")
    assert (ada["candidate"], ada["q1"], ada["q3"], ada["total"], ada["max"]) == (
        *("Ada", "60", "10", "70", "200"),
    )
    assert (bob["total"], bob["max"], bob["problems"]) == ("", "", "Bob.zip is not a zip archive")


def test_the_order_of_rows_is_that_of_the_results() -> None:
    """The table is not sorted."""
    results = [result(name, card(criterion("a"))) for name in ("Zoe", "Ada")]
    assert [row["candidate"] for row in _rows(summary_csv.table(results))] == ["Zoe", "Ada"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    """Attack 65: neither at its start, nor after whitespace or a separator."""
    cells = [
        c for row in csv.reader([*summary_csv.table([hostile(text)]).splitlines()]) for c in row
    ]
    assert not [c for c in cells if re.match(r"[\s\u200b]*[=+\-@\uff1d]", c)]
    assert not [c for c in cells if re.search(r";\s*[=+\-@]", c)]
    assert any(re.search(r"(^|;)'\s*[=+\-@\uff1d]", c) for c in cells)


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, 'a",b\n"c', "x,y"])
def test_a_row_stays_a_row(text: str) -> None:
    """No text starts a new line or column, or moves a cursor."""
    summary = summary_csv.table([hostile(text), hostile(text)])
    assert len(summary.splitlines()) == 3
    assert len({len(row) for row in csv.reader(summary.splitlines())}) == 1
    assert all(char == "\n" or char.isprintable() for char in summary)


def test_an_ordinary_name_is_left_alone() -> None:
    """An apostrophe or a hyphen inside it is harmless."""
    row = _rows(summary_csv.table([result("Zoë O'Neill-Smith", card(criterion("a")))]))[0]
    assert row["candidate"] == "Zoë O'Neill-Smith"


def test_a_grader_error_is_among_the_problems() -> None:
    """With the points that could not be scored."""
    row = _rows(summary_csv.table([Result(received(), (Graded("q1", SAMPLES["mixed"]),))]))[0]
    assert row["problems"] == "q1: 20 points could not be scored because the grader failed"
