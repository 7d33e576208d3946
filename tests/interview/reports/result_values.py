"""Results of made-up candidates, for the tests of all reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from report.samples import LEVEL_A, SUBMISSION

from archprep.core.model import CriterionResult, Scorecard, State, TaskResult
from archprep.interview.model import Batch, Graded, Received, Result

BATCH = Batch(7, "2026-03-01T10:00:00+00:00", "0.1.0", LEVEL_A)


def received(name: str = "Ada", **changes: Any) -> Received:
    """A submission from this candidate."""
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
