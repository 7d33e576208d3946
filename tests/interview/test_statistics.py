"""What a batch says about its exercises; `result` makes candidates for the tests of all exports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from report.samples import LEVEL_A, SUBMISSION

from archprep.core.model import CriterionResult, Scorecard, State, TaskResult
from archprep.interview import statistics
from archprep.interview.model import Batch, Graded, Received, Result
from archprep.interview.statistics import CriterionStatistics, Statistics

BATCH = Batch(7, "2026-03-01T10:00:00+00:00", "0.1.0", LEVEL_A)


def received(name: str = "Ada", **changes: Any) -> Received:
    """What a candidate has handed in."""
    slug = "".join(c if c.isalnum() and c.isascii() else "-" for c in name[:40])
    at = "2026-03-01T12:10:00+00:00"
    return replace(Received(name, slug, f"{name}.zip", at, "ab" * 32), **changes)


def criterion(name: str, state: State = State.PASSED, points: int = 10) -> CriterionResult:
    """A criterion that ended in this state."""
    earned = points if state is State.PASSED else 0
    return CriterionResult(name, f"It does {name}", 1, points, earned, state)


def card(*criteria: CriterionResult, exercise: str = "q1") -> Scorecard:
    """A scorecard of one task with these criteria."""
    points, earned = (
        sum(figures) for figures in zip(*((c.points, c.earned) for c in criteria), strict=True)
    )
    return Scorecard(
        exercise=exercise,
        title="Event bus",
        exercise_version=1,
        archprep_version="0.1.0",
        seed=7,
        started_at="2026-03-01T12:15:00+00:00",
        duration_s=2.0,
        isolation=LEVEL_A,
        submission=SUBMISSION,
        tasks=(TaskResult(1, "First", points, earned),),
        criteria=criteria,
    )


def result(name: str, *cards: Scorecard, **changes: Any) -> Result:
    """A candidate with these scorecards."""
    return Result(received(name, **changes), tuple(Graded(c.exercise, c) for c in cards))


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
    found = _of(_batch("a", "ab", "a", "a"), "b")
    assert (found.passed, found.scored, found.share) == (1, 4, 0.25)
    assert not found.nobody
    assert not found.everybody


def test_nobody_and_everybody() -> None:
    results = _batch("a", "a", "a")
    assert _of(results, "a").everybody
    assert _of(results, "b").nobody
    document = json.loads(statistics.of(results).dumps())
    assert document["exercises"][0]["nobody_passes"] == ["b"]
    assert document["exercises"][0]["everybody_passes"] == ["a"]


def test_one_candidate_is_neither_nobody_nor_everybody() -> None:
    results = _batch("a")
    assert not _of(results, "a").everybody
    assert not _of(results, "b").nobody


def test_a_fault_of_the_grader_is_no_verdict_and_a_blocked_criterion_has_not_passed() -> None:
    states = [State.PASSED, State.GRADER_ERROR, State.BLOCKED, State.CANDIDATE_ERROR]
    results = [result(f"c{n}", card(criterion("a", s))) for n, s in enumerate(states)]
    found = _of(results, "a")
    assert (found.passed, found.scored) == (1, 3)


def test_a_criterion_without_any_verdict() -> None:
    found = _of([result("c", card(criterion("a", State.GRADER_ERROR)))] * 9, "a")
    assert (found.scored, found.share, found.discrimination, found.median_s) == (
        0,
        None,
        None,
        None,
    )
    assert not found.nobody


def test_the_time_is_the_median_of_what_ran() -> None:
    times = [(State.PASSED, 0.1), (State.FAILED, 0.3), (State.CANDIDATE_ERROR, 4.0)]
    times += [(State.BLOCKED, 0.0), (State.GRADER_ERROR, 9.0)]
    results = [
        result(f"c{n}", card(replace(criterion("a", state), duration_s=seconds)))
        for n, (state, seconds) in enumerate(times)
    ]
    assert _of(results, "a").median_s == 0.3


def test_discrimination_is_the_best_minus_the_worst() -> None:
    """Of ten the three best and the three worst are compared."""
    strong, middle, weak = "abcdef", "acdef", "c"
    results = _batch(*[strong] * 3, *[middle] * 4, *[weak] * 3)
    assert _of(results, "b").discrimination == 1.0
    assert _of(results, "c").discrimination == 0.0


def test_a_criterion_that_the_worst_pass_and_the_best_do_not() -> None:
    results = _batch(*["acdef"] * 3, *["acd"] * 4, *["b"] * 3)
    assert _of(results, "b").discrimination == -1.0


def test_too_few_to_tell_apart() -> None:
    assert _of(_batch(*["ab"] * 4, *[""] * 3), "a").discrimination is None
    assert _of(_batch(*["ab"] * 4, *[""] * 4), "a").discrimination == 1.0


def test_who_ties_shares_the_last_places() -> None:
    """All have the same total: the order in which they came says nothing about them."""
    results = _batch(*["a"] * 5, *["b"] * 5)
    assert _of(results, "a").discrimination == 0.0
    assert statistics.of(results) == statistics.of(results[::-1])


def test_quartiles_of_scores_and_totals() -> None:
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
    one = card(criterion("a", points=100))
    other = card(criterion("z", State.FAILED, points=100), exercise="q3")
    found = statistics.of([result("x", one), result("y", one, other)])
    assert (found.totals.lowest, found.totals.highest) == (50.0, 100.0)


def test_a_single_candidate_is_all_quartiles() -> None:
    found = statistics.of([result("x", card(criterion("a", points=100)))])
    assert found.totals.lower_quartile == found.totals.upper_quartile == 100.0


def test_who_was_not_graded_is_counted_and_no_zero() -> None:
    broken = Result(received("b", problem="is no zip archive"), ())
    missing = Result(received("m"), (Graded("q1", problem="a file is missing"),))
    found = statistics.of([broken, missing, result("x", card(criterion("a", points=100)))])
    assert (found.candidates, found.problems, found.totals.lowest) == (3, 2, 100.0)
    assert found.exercises[0].problems == 1
    assert found.exercises[0].scores.count == 1


def test_exercises_stand_in_the_order_of_their_numbers() -> None:
    cards = [card(criterion("a"), exercise=name) for name in ("q10", "q2", "q1")]
    assert statistics.exercises([result("x", *cards)]) == ["q1", "q2", "q10"]


@pytest.mark.parametrize("results", [[], [Result(received(problem="nothing in it"), ())]])
def test_nothing_graded(results: list[Result]) -> None:
    found = statistics.of(results)
    assert found.totals == statistics.Spread(0)
    assert json.loads(found.dumps())["format"] == 1


def test_the_document_is_ascii_and_the_same_for_any_order() -> None:
    results = _batch("a", "ab", "b")
    found = replace(results[0].graded[0].scorecard, title="Büs \ud800 \x1b[2J")
    results[0] = replace(results[0], graded=(Graded("q1", found),))
    text = statistics.of(results).dumps()
    assert text.isascii()
    assert "\\u001b" not in text
    assert text == statistics.of(results).dumps()


def test_statistics_are_frozen() -> None:
    found: Statistics = statistics.of([])
    with pytest.raises(AttributeError):
        found.candidates = 3  # type: ignore[misc]
