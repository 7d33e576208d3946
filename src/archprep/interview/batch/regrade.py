"""Grades the submissions kept in a results folder again, after a grader was fixed.

New outcomes are written next to the folder first, and into it once the user has agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archprep.content import catalog
from archprep.core.errors import Exit, UsageError
from archprep.interview.batch import grading_run
from archprep.interview.batch.batch_job import BatchJob, JobOutcome, score_or_problem
from archprep.interview.batch.progress import ProgressCounter, ShowProgress
from archprep.interview.reports import write_reports
from archprep.interview.results import json_format, results_lock
from archprep.interview.results.results_folder import ResultsFolder
from archprep.sandbox import processes

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.grading.process_pool import Workers
    from archprep.interview.model import Batch, Graded


@dataclass(frozen=True, slots=True)
class Change:
    """How regrading changes one exercise of a candidate."""

    slug: str
    name: str
    exercise: str
    before: str  # a score, or why there is none
    after: str
    criteria: tuple[str, ...]  # ids of those with another verdict

    @property
    def in_score(self) -> bool:
        """Whether the score changes, and not only the evidence."""
        return self.before != self.after


Confirm = Callable[[Sequence[Change]], bool]


@dataclass(frozen=True, slots=True)
class RegradedBatch:
    """The outcome of regrading."""

    graded: int
    changes: Sequence[Change]
    written: bool
    faults: Sequence[str]

    @property
    def exit_code(self) -> Exit:
        """The same as for grading."""
        return Exit.INTERNAL if self.faults else Exit.PASSED


def regrade(
    folder: Path,
    exercise: str | None = None,
    *,
    confirm: Confirm,
    jobs: int | None = None,
    level: str | None = None,
    progress: ShowProgress | None = None,
) -> RegradedBatch:
    """Grade what is kept in a results folder again, with the same inputs.

    `confirm` gets the changes before anything is written; the old results are kept.
    """
    grading_run.check_options(jobs, None)
    wanted = None if exercise is None else catalog.get(exercise).id
    with (
        processes.ended_by_signals(),
        results_lock.open_existing(folder) as opened,
        grading_run.worker_pool(jobs, level) as workers,
    ):
        workers.boot()
        batch = opened.batch()
        grading_run.require_same_level(batch, grading_run.tested_isolation(level))
        return _Regrading(opened, batch, workers, progress).regrade(wanted, confirm)


class _Regrading:
    """One run; new outcomes stay in a folder of their own until the user has agreed."""

    def __init__(
        self,
        folder: ResultsFolder,
        batch: Batch,
        workers: Workers[BatchJob, JobOutcome],
        progress: ShowProgress | None,
    ) -> None:
        self._folder = folder
        self._batch = batch
        self._workers = workers
        self._progress = progress
        self._new = ResultsFolder(workers.scratch / "again")
        self._faults: list[str] = []

    def regrade(self, wanted: str | None, confirm: Confirm) -> RegradedBatch:
        """Grade, ask, write."""
        jobs = [job for slug in self._folder.slugs() for job in self._jobs(slug, wanted)]
        if not jobs:
            raise UsageError(
                "These results contain nothing to regrade.",
                tip="Leave out --exercise, or run `archprep grade` first.",
            )
        counter = ProgressCounter(self._workers, len(jobs), len(jobs), self._progress)
        changes = [
            change
            for job, outcome in grading_run.run_jobs(jobs, counter, None)
            if (change := self._change(job, outcome.graded))
        ]
        changes.sort(key=lambda change: (change.name, change.slug, change.exercise))
        written = bool(changes) and confirm(changes)
        if written:
            self._write(changes)
        return RegradedBatch(len(jobs), changes, written, self._faults)

    def _jobs(self, slug: str, wanted: str | None) -> Iterator[BatchJob]:
        received = self._folder.received(slug)
        for one in received.exercises:
            exercise = one.exercise
            kept = self._folder.graded(slug, exercise)
            if wanted in (None, exercise) and kept.source:
                yield BatchJob(
                    slug,
                    received.name,
                    self._folder.digest(slug, exercise),
                    exercise,
                    grading_run.seed_of(self._batch, exercise),
                    self._batch.isolation.level,
                    self._folder.graded_file(slug, exercise),
                    tasks=one.tasks,
                )

    def _change(self, job: BatchJob, after: Graded) -> Change | None:
        """The difference, apart from durations; after a fault the old outcome stays."""
        if json_format.lacks_verdicts(after):
            why = after.problem or grading_run.NO_VERDICT
            self._faults.append(f"{job.name}, {job.exercise}: {why} The old result is kept.")
            return None
        before = self._folder.graded(job.slug, job.exercise)
        if comparable(before) == comparable(after):
            return None
        self._new.save(job.slug, job.digest, after)
        changed = _verdicts(before).symmetric_difference(_verdicts(after))
        criteria = tuple(sorted({name for name, _ in changed}))
        old, new = score_or_problem(before), score_or_problem(after)
        return Change(job.slug, job.name, job.exercise, old, new, criteria)

    def _write(self, changes: Sequence[Change]) -> None:
        for slug in dict.fromkeys(change.slug for change in changes):
            self._folder.copy_to_earlier(slug)
            for change in [c for c in changes if c.slug == slug]:
                new = self._new.graded(slug, change.exercise)
                self._folder.save(slug, self._new.digest(slug, change.exercise), new)
            write_reports.write_candidate(self._folder, slug, self._batch)
        write_reports.write_batch(self._folder, self._batch)


def comparable(graded: Graded) -> Any:
    """Return an outcome without what differs each time."""
    card = graded.scorecard
    if card is None:
        return graded.problem
    criteria = tuple(replace(c, duration_s=0.0) for c in card.criteria)
    what = (card.exercise_version, card.selection, card.seed, card.submission.digest)
    return (*what, card.tasks, criteria)


def _verdicts(graded: Graded) -> set[tuple[str, str]]:
    card = graded.scorecard
    return {(c.id, c.state) for c in card.criteria} if card else set()
