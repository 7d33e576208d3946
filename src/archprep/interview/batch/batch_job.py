"""The unit of work of a batch: one exercise of one candidate, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archprep.interview.model import Graded


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One exercise of a candidate, to be graded by a worker."""

    slug: str
    name: str
    digest: str  # of the submission
    exercise: str
    seed: int
    level: str  # of isolation; a weaker one does not count
    submitted: Path  # the folder to freeze, or the results file that has the source
    alone: bool = False  # it timed out next to others
    tasks: tuple[int, ...] = ()  # that were asked for; () for all


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """The outcome of a job; `stop`, a message and a tip, if no other job can succeed either."""

    graded: Graded
    stop: tuple[str, str | None] | None = None


def score_or_problem(graded: Graded) -> str:
    """Return the score of an exercise, or why there is none."""
    return graded.scorecard.short_score if graded.scorecard else graded.problem or ""
