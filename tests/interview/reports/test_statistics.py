"""What the statistics of a batch say about its exercises."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from interview.reports.result_values import card, criterion, received, result

from archprep.core.model import State
from archprep.interview.model import Graded, Result
from archprep.interview.reports import statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archprep.interview.reports.statistics import CriterionStatistics, Statistics


def _batch(*passed: str) -> list[Result]:
    """A candidate for each text, who passes the criteria that it names by their letters."""
    names = sorted(set("".join(passed)) | set("ab"))
    return [
        result(
            f"c{number}",
            card(*(criterion(n, State.PASSED if n in text else State.FAILED) for n in names)),
        )
        for number, text in enumerate(passed)
    ]


def _of(results: Sequence[Result], name: str) -> CriterionStatistics:
    found = statistics.of(results).exercises[0].criteria
    return next(c for c in found if c.id == name)


def test_the_share_that_passed() -> None:
    """Passed divided by scored."""
    found = _of(_batch("a", "ab", "a", "a"), "b")
    assert (found.passed, found.scored, found.share) == (1, 4, 0.25)
    assert not found.none_passed
    assert not found.all_passed


def test_criteria_that_none_or_all_passed_are_marked() -> None:
    """They say little about candidates."""
    results = _batch("a", "a", "a")
    assert _of(results, "a").all_passed
    assert _of(results, "b").none_passed
    document = json.loads(statistics.of(results).dumps())
    assert document["exercises"][0]["nobody_passes"] == ["b"]
    assert document["exercises"][0]["everybody_passes"] == ["a"]


def test_one_candidate_is_neither_none_nor_all() -> None:
    """A single verdict says nothing about the criterion."""
    results = _batch("a")
    assert not _of(results, "a").all_passed
    assert not _of(results, "b").none_passed


def test_a_grader_error_is_not_a_verdict_but_a_blocked_criterion_is() -> None:
    """A blocked criterion counts as not passed."""
    states = [State.PASSED, State.GRADER_ERROR, State.BLOCKED, State.CANDIDATE_ERROR]
    results = [result(f"c{n}", card(criterion("a", s))) for n, s in enumerate(states)]
    found = _of(results, "a")
    assert (found.passed, found.scored) == (1, 3)


def test_a_criterion_without_verdicts_has_no_share() -> None:
    """Nor a discrimination or a time."""
    found = _of([result("c", card(criterion("a", State.GRADER_ERROR)))] * 9, "a")
    assert (found.scored, found.share, found.discrimination, found.median_s) == (
        0,
        None,
        None,
        None,
    )
    assert not found.none_passed


def test_the_time_is_the_median_of_what_ran() -> None:
    """Blocked criteria did not run."""
    times = [(State.PASSED, 0.1), (State.FAILED, 0.3), (State.CANDIDATE_ERROR, 4.0)]
    times += [(State.BLOCKED, 0.0), (State.GRADER_ERROR, 9.0)]
    results = [
        result(f"c{n}", card(replace(criterion("a", state), duration_s=seconds)))
        for n, (state, seconds) in enumerate(times)
    ]
    assert _of(results, "a").median_s == 0.3


def test_discrimination_is_the_best_minus_the_worst() -> None:
    """Of the shares that passed among the best and the worst 27 %."""
    strong, middle, weak = "abcdef", "acdef", "c"
    results = _batch(*[strong] * 3, *[middle] * 4, *[weak] * 3)
    assert _of(results, "b").discrimination == 1.0
    assert _of(results, "c").discrimination == 0.0


def test_discrimination_can_be_negative() -> None:
    """When the worst candidates pass and the best do not."""
    results = _batch(*["acdef"] * 3, *["acd"] * 4, *["b"] * 3)
    assert _of(results, "b").discrimination == -1.0


def test_few_candidates_have_no_discrimination() -> None:
    """Below the minimum it is None."""
    assert _of(_batch(*["ab"] * 4, *[""] * 3), "a").discrimination is None
    assert _of(_batch(*["ab"] * 4, *[""] * 4), "a").discrimination == 1.0


def test_ties_share_the_last_places_of_a_group() -> None:
    """The order of receipt does not matter."""
    results = _batch(*["a"] * 5, *["b"] * 5)
    assert _of(results, "a").discrimination == 0.0
    assert statistics.of(results) == statistics.of(results[::-1])


def test_quartiles_of_scores_and_totals() -> None:
    """Totals are in percent."""
    results = [
        result(
            f"c{n}", card(criterion("a", points=points), criterion("b", State.FAILED, 100 - points))
        )
        for n, points in enumerate([10, 20, 40, 80, 90])
    ]
    found = statistics.of(results)
    scores = found.exercises[0].scores
    assert (scores.count, scores.mean, scores.median) == (5, 48.0, 40.0)
    assert (scores.lower_quartile, scores.upper_quartile) == (20.0, 80.0)
    assert (scores.lowest, scores.highest) == (10.0, 90.0)
    assert found.totals == scores


def test_totals_are_comparable_between_kits_of_different_sizes() -> None:
    """They are shares of what each candidate was asked for."""
    one = card(criterion("a", points=100))
    other = card(criterion("z", State.FAILED, points=100), exercise="q3")
    found = statistics.of([result("x", one), result("y", one, other)])
    assert (found.totals.lowest, found.totals.highest) == (50.0, 100.0)


def test_a_single_candidate_is_all_quartiles() -> None:
    """Python before 3.13 would refuse to compute them."""
    found = statistics.of([result("x", card(criterion("a", points=100)))])
    assert found.totals.lower_quartile == found.totals.upper_quartile == 100.0


def test_an_ungraded_candidate_is_counted_but_is_not_a_zero() -> None:
    """The figures leave them out."""
    broken = Result(received("b", problem="is not a zip archive"), ())
    missing = Result(received("m"), (Graded("q1", problem="a file is missing"),))
    found = statistics.of([broken, missing, result("x", card(criterion("a", points=100)))])
    assert (found.candidates, found.problems, found.totals.lowest) == (3, 2, 100.0)
    assert found.exercises[0].problems == 1
    assert found.exercises[0].scores.count == 1


def test_exercises_are_in_the_order_of_their_numbers() -> None:
    """q3 comes before q12."""
    cards = [card(criterion("a"), exercise=name) for name in ("q10", "q2", "q1")]
    assert statistics.exercises([result("x", *cards)]) == ["q1", "q2", "q10"]


@pytest.mark.parametrize("results", [[], [Result(received(problem="nothing in it"), ())]])
def test_no_results_give_empty_statistics(results: list[Result]) -> None:
    """Every figure is None."""
    found = statistics.of(results)
    assert found.totals == statistics.Spread(0)
    assert json.loads(found.dumps())["format"] == 1


def test_the_document_is_ascii_and_the_same_for_any_order() -> None:
    """So that it can be compared."""
    results = _batch("a", "ab", "b")
    found = replace(results[0].graded[0].scorecard, title="Büs \ud800 \x1b[2J")
    results[0] = replace(results[0], graded=(Graded("q1", found),))
    text = statistics.of(results).dumps()
    assert text.isascii()
    assert "\\u001b" not in text
    assert text == statistics.of(results).dumps()


def test_statistics_are_frozen() -> None:
    """They pass between modules."""
    found: Statistics = statistics.of([])
    with pytest.raises(AttributeError):
        found.candidates = 3  # type: ignore[misc]
