"""The page about a batch: order, rows, statistics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from interview.reports.page_samples import index_of, visible_text
from interview.reports.result_values import card, criterion, received, result
from report.samples import (
    LEVEL_A,
    SAMPLES,
)
from report.test_html import _Reader

from archprep.core.model import State
from archprep.interview.model import Graded, Result


def test_candidates_are_sorted_by_score() -> None:
    """Those without a score come last."""
    low, high = (
        result(n, card(criterion("a", points=p), criterion("b", State.FAILED, 100 - p)))
        for n, p in (("Low", 10), ("High", 90))
    )
    text = visible_text(index_of(low, Result(received("Broken", problem="no zip"), ()), high))
    text = text[text.index("Candidates") :]
    assert text.index("High") < text.index("Low") < text.index("Broken")
    assert "no zip" in text


def test_a_row_has_scores_total_flags_and_a_link() -> None:
    """And the problems of exercises without a score."""
    one = result("Ada", card(criterion("a", points=60), criterion("b", State.FAILED, 40)))
    one = replace(one, received=replace(one.received, flags=("late by 3 min",), slug="ada-2"))
    one = replace(one, graded=(*one.graded, Graded("q3", problem="a file is missing")))
    document = index_of(one)
    assert 'href="candidates/ada-2/report.html"' in document
    text = visible_text(document)
    for piece in ("60 \u2013 60 /200", "late by 3 min", "q3 not graded: a file is missing"):
        assert piece in text


@pytest.mark.parametrize("slug", ["../../etc", 'x" onclick="y', "a/b", "javascript:x", ""])
def test_an_unexpected_folder_name_is_not_linked(slug: str) -> None:
    """It could lead anywhere."""
    one = replace(result("Ada", card(criterion("a"))), received=received(slug=slug))
    assert not _Reader(index_of(one)).values("href")


def test_a_score_without_all_verdicts_is_marked() -> None:
    """With a question mark."""
    assert "8? 8 /100" in visible_text(
        index_of(Result(received(), (Graded("q1", SAMPLES["mixed"]),)))
    )


def test_the_statistics_are_on_the_page() -> None:
    """Totals, and each criterion with its share and discrimination."""
    results = [
        result(f"c{n}", card(criterion("a", points=50), criterion("b", State.FAILED, 50)))
        for n in range(8)
    ]
    text = visible_text(index_of(*results))
    assert "No one passed: It does b." in text
    assert "Everyone passed: It does a." in text
    assert "It does a a 50 100 % 8 of 8 +0.00 0.00 s" in text
    assert "Totals of 8 candidates: mean 50 %, median 50, middle half 50 to 50" in text


def test_the_isolation_is_at_the_top_of_the_batch() -> None:
    """Also without any candidate."""
    text = visible_text(index_of())
    assert text.index(LEVEL_A.sentence) < text.index("Candidates")
    assert "No candidates." in text
