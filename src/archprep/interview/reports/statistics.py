"""Statistics of a batch: how hard each criterion is, and how well it discriminates."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archprep.content.selection import in_words
from archprep.core.model import CriterionResult, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT, Result

MIN_CANDIDATES = 8  # for a discrimination index: with fewer, 27 % is one or two candidates
_GROUP = 0.27  # share of the candidates in the best and in the worst group, as is usual
_RAN = (State.PASSED, State.FAILED, State.CANDIDATE_ERROR)


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of some figures; every field is None if there are no figures."""

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

    `scored` counts verdicts: a grader error is not one, and a blocked criterion did not pass.
    `discrimination` is the share that passed among the best candidates minus the share among the
    worst.
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
    def none_passed(self) -> bool:
        """Whether none of several candidates passed."""
        return self.scored > 1 and not self.passed

    @property
    def all_passed(self) -> bool:
        """Whether all of several candidates passed."""
        return self.scored > 1 and self.passed == self.scored


@dataclass(frozen=True, slots=True)
class ExerciseStatistics:
    """One version and selection of an exercise: only their scores can be compared.

    `problems` counts the candidates without a scorecard for it; those for whom not even the
    selection is known are counted with the first.
    """

    exercise: str
    title: str
    scores: Spread
    problems: int
    criteria: tuple[CriterionStatistics, ...]
    version: int = 0  # 0 if there is no scorecard
    selection: tuple[int, ...] = ()  # the tasks that were asked for; () for all
    max_score: int = 100

    @property
    def heading(self) -> str:
        """The exercise in words, such as "q1 Event bus, tasks 1, 2"."""
        tasks = f", {in_words(self.selection)}" if self.selection else ""
        return f"{self.exercise} {self.title}{tasks}"

    @property
    def key(self) -> str:
        """What tells it from the other statistics of a batch, such as "q1-v2-1-2"."""
        return "-".join([self.exercise, f"v{self.version}", *map(str, self.selection)])


@dataclass(frozen=True, slots=True)
class Statistics:
    """A whole batch. `totals` are in percent, so that different kits can be compared.

    They cover candidates with at least one scorecard; `problems` counts the others.
    """

    candidates: int
    problems: int
    totals: Spread
    exercises: tuple[ExerciseStatistics, ...]
    format: int = FORMAT

    def dumps(self) -> str:
        """Return `statistics.json`: ASCII only, the same text for the same results."""
        return json.dumps(_document(self), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def of(results: Sequence[Result]) -> Statistics:
    """Return the statistics of these candidates, in any order."""
    graded = [result for result in results if share(result) is not None]
    return Statistics(
        candidates=len(results),
        problems=len(results) - len(graded),
        totals=_spread([100 * (share(result) or 0.0) for result in graded]),
        exercises=tuple(found for name in exercises(results) for found in _compared(name, results)),
    )


def exercises(results: Sequence[Result]) -> list[str]:
    """Return the ids of all exercises, in the order of their numbers."""
    return sorted({g.exercise for r in results for g in r.graded}, key=lambda i: (len(i), i))


def share(result: Result) -> float | None:
    """Return earned points divided by possible points; None if nothing was graded."""
    if not any(graded.scorecard for graded in result.graded):
        return None
    return result.score / result.max_score


# ------------------------------------------------------------------ one exercise


def _compared(name: str, results: Sequence[Result]) -> Iterator[ExerciseStatistics]:
    """Yield the statistics of each version and selection, the most frequent first."""
    outcomes = [(r, g) for r in results for g in r.graded if g.exercise == name]
    # Candidates are ranked by their share of all points, not of this exercise's.
    ranked = [(share(r) or 0.0, g.scorecard) for r, g in outcomes if g.scorecard]
    kinds = Counter(_kind(card) for _, card in ranked)
    problems = len(outcomes) - len(ranked)
    if not kinds:
        yield _exercise(name, [], problems)
    for kind in sorted(kinds, key=lambda kind: (-kinds[kind], kind)):
        same = [(total, card) for total, card in ranked if _kind(card) == kind]
        yield _exercise(name, same, problems)
        problems = 0


def _kind(card: Scorecard) -> tuple[int, tuple[int, ...]]:
    return card.exercise_version, card.selection


def _exercise(
    name: str, ranked: Sequence[tuple[float, Scorecard]], problems: int
) -> ExerciseStatistics:
    cards = [card for _, card in ranked]
    ids = dict.fromkeys(c.id for card in cards for c in card.criteria)
    return ExerciseStatistics(
        exercise=sanitize(name, 40),
        title=sanitize(cards[0].title, 200) if cards else "",
        scores=_spread([float(card.score) for card in cards]),
        problems=problems,
        criteria=tuple(_criterion(criterion, ranked) for criterion in ids),
        version=cards[0].exercise_version if cards else 0,
        selection=cards[0].selection if cards else (),
        max_score=cards[0].max_score if cards else 100,
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
    """The upper-lower discrimination index, from -1 to 1."""
    if len(verdicts) < MIN_CANDIDATES:
        return None
    best = _share_passed(verdicts, lambda total: -total)
    worst = _share_passed(verdicts, lambda total: total)
    return _rounded(best - worst)


def _share_passed(
    verdicts: Sequence[tuple[float, CriterionResult]], rank: Callable[[float], float]
) -> float:
    """The share that passed among the 27 % with the lowest `rank`.

    Candidates who tie for the last places share them, so that the order of receipt is irrelevant.
    """
    places = round(_GROUP * len(verdicts))
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
    if len(figures) == 1:  # quantiles() needs two figures before Python 3.13
        return [figures[0]] * 3
    return statistics.quantiles(figures, n=4, method="inclusive")


def _median(figures: Sequence[float]) -> float | None:
    return _rounded(statistics.median(figures)) if figures else None


def _rounded(figure: float) -> float:
    """Four digits: beyond these, two machines may differ."""
    return round(figure, 4) + 0.0  # turns -0.0 into 0.0


def _document(whole: Statistics) -> dict[str, Any]:
    data = asdict(whole)
    for exercise, plain in zip(whole.exercises, data["exercises"], strict=True):
        plain["nobody_passes"] = [c.id for c in exercise.criteria if c.none_passed]
        plain["everybody_passes"] = [c.id for c in exercise.criteria if c.all_passed]
    return {"format": data.pop("format"), **data}
