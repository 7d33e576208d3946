"""Grades what is kept in a folder of results again, after a grader was mended.

What it leads to lies beside the folder until somebody has agreed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archprep.content import catalog
from archprep.core.errors import Exit, UsageError
from archprep.interview import batch, results
from archprep.interview.batch import Meter, Progress, told
from archprep.interview.results import Folder
from archprep.interview.work import Job, Outcome
from archprep.sandbox import processes

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.grading.process_pool import Workers
    from archprep.interview.model import Batch, Graded


@dataclass(frozen=True, slots=True)
class Change:
    """What grading again changes for one exercise of a candidate."""

    slug: str
    name: str
    exercise: str
    before: str  # a score, or why there is none
    after: str
    criteria: tuple[str, ...]  # ids of those whose verdict is another

    @property
    def in_score(self) -> bool:
        """Whether the candidate gets another score, and not only other evidence."""
        return self.before != self.after


Confirm = Callable[[Sequence[Change]], bool]


def regrade(
    folder: Path,
    exercise: str | None = None,
    *,
    confirm: Confirm,
    jobs: int | None = None,
    level: str | None = None,
    progress: Progress | None = None,
) -> Regraded:
    """Grade what is kept in a folder of results again, after a grader was mended.

    `confirm` is shown what changes before anything is written; the old results are kept.
    """
    batch.check(jobs, None)
    wanted = None if exercise is None else catalog.get(exercise).id
    with (
        processes.ended_by_signals(),
        results.reopened(folder) as held,
        batch.pool(jobs, level) as workers,
    ):
        workers.boot()
        kept = held.batch()
        batch.check_level(kept, batch.tested(level))
        return _Regrading(held, kept, workers, progress).regrade(wanted, confirm)


@dataclass(frozen=True, slots=True)
class Regraded:
    """What came of grading again."""

    graded: int
    changes: Sequence[Change]
    written: bool
    faults: Sequence[str]

    @property
    def exit_code(self) -> Exit:
        """As for a batch."""
        return Exit.INTERNAL if self.faults else Exit.PASSED


class _Regrading:
    """What is graded again lies beside the folder until somebody has agreed to it."""

    def __init__(
        self,
        folder: Folder,
        kept: Batch,
        workers: Workers[Job, Outcome],
        progress: Progress | None,
    ) -> None:
        self._folder = folder
        self._batch = kept
        self._workers = workers
        self._progress = progress
        self._new = Folder(workers.scratch / "again")
        self._faults: list[str] = []

    def regrade(self, wanted: str | None, confirm: Confirm) -> Regraded:
        """Grade, ask, write."""
        jobs = [job for slug in self._folder.slugs() for job in self._jobs(slug, wanted)]
        if not jobs:
            raise UsageError(
                "Nothing of that is kept in these results.", tip="Leave --exercise away, or grade."
            )
        meter = Meter(self._workers, len(jobs), len(jobs), self._progress)
        changes = [
            change
            for job, outcome in batch.graded(jobs, meter, None)
            if (change := self._change(job, outcome.graded))
        ]
        changes.sort(key=lambda change: (change.name, change.slug, change.exercise))
        written = bool(changes) and confirm(changes)
        if written:
            self._write(changes)
        return Regraded(len(jobs), changes, written, self._faults)

    def _jobs(self, slug: str, wanted: str | None) -> Iterator[Job]:
        received = self._folder.received(slug)
        for exercise in [part.exercise for part in received.parts]:
            kept = self._folder.graded(slug, exercise)
            if wanted in (None, exercise) and kept.source:
                yield Job(
                    slug,
                    received.name,
                    self._folder.digest(slug, exercise),
                    exercise,
                    batch.seed_of(self._batch, exercise),
                    self._batch.isolation.level,
                    self._folder.part(slug, exercise),
                )

    def _change(self, job: Job, after: Graded) -> Change | None:
        """What is another result, times apart; a fault of ours leaves the old one in place."""
        if results.failed(after):
            why = after.problem or "a grader failed: a criterion has no verdict."
            self._faults.append(f"{job.name}, {job.exercise}: {why} The old result stays.")
            return None
        before = self._folder.graded(job.slug, job.exercise)
        if _timeless(before) == _timeless(after):
            return None
        self._new.keep(job.slug, job.digest, after)
        moved = _verdicts(before).symmetric_difference(_verdicts(after))
        criteria = tuple(sorted({name for name, _ in moved}))
        return Change(job.slug, job.name, job.exercise, told(before), told(after), criteria)

    def _write(self, changes: Sequence[Change]) -> None:
        for slug in dict.fromkeys(change.slug for change in changes):
            self._folder.put_aside(slug)
            for change in [c for c in changes if c.slug == slug]:
                new = self._new.graded(slug, change.exercise)
                self._folder.keep(slug, self._new.digest(slug, change.exercise), new)
            self._folder.publish(slug, self._batch)
        self._folder.publish_batch(self._batch)


def _verdicts(graded: Graded) -> set[tuple[str, str]]:
    card = graded.scorecard
    return {(c.id, c.state) for c in card.criteria} if card else set()


def _timeless(graded: Graded) -> Any:
    """A result without what differs each time."""
    card = graded.scorecard
    if card is None:
        return graded.problem
    timeless = tuple(replace(c, duration_s=0.0) for c in card.criteria)
    return (card.exercise_version, card.seed, card.submission.digest, card.tasks, timeless)
