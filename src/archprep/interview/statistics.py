"""What a batch says about the exercises: how hard each criterion is, and whether it tells apart."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archprep.core.model import CriterionResult, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT, Result

FEWEST = 8  # candidates for a discrimination: of fewer the best 27 % are one or two
_SHARE = 0.27  # of the candidates; the usual size of either group
_RAN = (State.PASSED, State.FAILED, State.CANDIDATE_ERROR)


@dataclass(frozen=True, slots=True)
class Spread:
    """How figures are distributed; everything is None where there are none."""

    count: int
    mean: float | None = None
    median: float | None = None
    lower_quartile: float | None = None
    upper_quartile: float | None = None
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True, slots=True)
class CriterionStatistics:
    """One criterion over all candidates.

    `scored` counts the verdicts: a fault of the grader is none, a blocked criterion has not passed.
    `discrimination` is the share that passed among the best candidates minus that among the worst.
    """

    id: str
    title: str
    task: int
    points: int
    scored: int
    passed: int
    share: float | None
    discrimination: float | None
    median_s: float | None  # of the scenarios that ran

    @property
    def nobody(self) -> bool:
        """Whether none of several candidates passes."""
        return self.scored > 1 and not self.passed

    @property
    def everybody(self) -> bool:
        """Whether all of several candidates pass."""
        return self.scored > 1 and self.passed == self.scored


@dataclass(frozen=True, slots=True)
class ExerciseStatistics:
    """One exercise; `problems` counts the candidates who have no scorecard of it."""

    exercise: str
    title: str
    scores: Spread
    problems: int
    criteria: tuple[CriterionStatistics, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """A whole batch. `totals` are in percent, so that kits of different sizes can be compared.

    They are those of the candidates who have a scorecard; the others are counted in `problems`.
    """

    candidates: int
    problems: int
    totals: Spread
    exercises: tuple[ExerciseStatistics, ...]
    format: int = FORMAT

    def dumps(self) -> str:
        """The document `statistics.json`: ASCII only, the same text for the same results."""
        return json.dumps(_document(self), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def of(results: Sequence[Result]) -> Statistics:
    """The statistics of these candidates; their order does not matter."""
    graded = [result for result in results if share(result) is not None]
    return Statistics(
        candidates=len(results),
        problems=len(results) - len(graded),
        totals=_spread([100 * (share(result) or 0.0) for result in graded]),
        exercises=tuple(_exercise(name, results) for name in exercises(results)),
    )


def exercises(results: Sequence[Result]) -> list[str]:
    """The ids of all exercises that were asked for, in the order of their numbers."""
    return sorted({g.exercise for r in results for g in r.graded}, key=lambda i: (len(i), i))


def share(result: Result) -> float | None:
    """The part of all points that was earned; None where nothing was graded."""
    if not any(graded.scorecard for graded in result.graded):
        return None
    return result.score / result.max_score


# ------------------------------------------------------------------ one exercise


def _exercise(name: str, results: Sequence[Result]) -> ExerciseStatistics:
    parts = [(r, g) for r in results for g in r.graded if g.exercise == name]
    # With the candidate's standing in all exercises, by which the best are told from the worst.
    ranked = [(share(r) or 0.0, g.scorecard) for r, g in parts if g.scorecard]
    cards = [card for _, card in ranked]
    ids = dict.fromkeys(c.id for card in cards for c in card.criteria)
    return ExerciseStatistics(
        exercise=sanitize(name, 40),
        title=sanitize(cards[0].title, 200) if cards else "",
        scores=_spread([float(card.score) for card in cards]),
        problems=len(parts) - len(cards),
        criteria=tuple(_criterion(one, ranked) for one in ids),
    )


def _criterion(criterion: str, ranked: Sequence[tuple[float, Scorecard]]) -> CriterionStatistics:
    found = [(total, c) for total, card in ranked for c in card.criteria if c.id == criterion]
    verdicts = [(total, c) for total, c in found if c.state is not State.GRADER_ERROR]
    first = found[0][1]
    passed = sum(_passed(c) for _, c in verdicts)
    return CriterionStatistics(
        id=sanitize(first.id, 100),
        title=sanitize(first.title, 300),
        task=first.task,
        points=first.points,
        scored=len(verdicts),
        passed=passed,
        share=_rounded(passed / len(verdicts)) if verdicts else None,
        discrimination=_discrimination(verdicts),
        median_s=_median([c.duration_s for _, c in verdicts if c.state in _RAN]),
    )


def _passed(result: CriterionResult) -> bool:
    return result.state is State.PASSED


def _discrimination(verdicts: Sequence[tuple[float, CriterionResult]]) -> float | None:
    """The upper-lower index, from -1 to 1."""
    if len(verdicts) < FEWEST:
        return None
    best = _share_passed(verdicts, lambda total: -total)
    worst = _share_passed(verdicts, lambda total: total)
    return _rounded(best - worst)


def _share_passed(
    verdicts: Sequence[tuple[float, CriterionResult]], rank: Callable[[float], float]
) -> float:
    """The share that passed among the first 27 %, those of the lowest `rank`.

    Candidates who tie for its last places share them: it must not matter who was received first.
    """
    places = round(_SHARE * len(verdicts))
    last = sorted(rank(total) for total, _ in verdicts)[places - 1]
    inside = [_passed(c) for total, c in verdicts if rank(total) < last]
    tied = [_passed(c) for total, c in verdicts if rank(total) == last]
    return (sum(inside) + sum(tied) * (places - len(inside)) / len(tied)) / places


# ------------------------------------------------------------------ figures


def _spread(figures: Sequence[float]) -> Spread:
    if not figures:
        return Spread(0)
    lower, middle, upper = _quartiles(figures)
    return Spread(
        count=len(figures),
        mean=_rounded(statistics.fmean(figures)),
        median=_rounded(middle),
        lower_quartile=_rounded(lower),
        upper_quartile=_rounded(upper),
        lowest=_rounded(min(figures)),
        highest=_rounded(max(figures)),
    )


def _quartiles(figures: Sequence[float]) -> list[float]:
    if len(figures) == 1:  # Python before 3.13 refuses to divide a single figure
        return [figures[0]] * 3
    return statistics.quantiles(figures, n=4, method="inclusive")


def _median(figures: Sequence[float]) -> float | None:
    return _rounded(statistics.median(figures)) if figures else None


def _rounded(figure: float) -> float:
    """Four digits: beyond them two machines may differ."""
    return round(figure, 4) + 0.0  # no negative zero


def _document(whole: Statistics) -> dict[str, Any]:
    data = asdict(whole)
    for exercise, plain in zip(whole.exercises, data["exercises"], strict=True):
        plain["nobody_passes"] = [c.id for c in exercise.criteria if c.nobody]
        plain["everybody_passes"] = [c.id for c in exercise.criteria if c.everybody]
    return {"format": data.pop("format"), **data}
