"""Grades a folder of submissions in parallel, into a results folder.

Workers grade, and only this process writes: each result as soon as it is there, so that the
process may be killed at any moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import archprep
from archprep.content import catalog
from archprep.core.errors import ArchprepError, Exit, UsageError
from archprep.grading import requirements, session
from archprep.grading.process_pool import Workers
from archprep.interview.batch import grading_run
from archprep.interview.batch.batch_job import BatchJob, JobOutcome
from archprep.interview.batch.progress import ProgressCounter, ShowProgress
from archprep.interview.model import Batch, Received, Result
from archprep.interview.reports import write_reports
from archprep.interview.results import json_format, results_lock
from archprep.interview.results.results_folder import ResultsFolder
from archprep.interview.text import shown
from archprep.sandbox import processes


@dataclass(frozen=True, slots=True)
class GradedBatch:
    """A batch that is finished; its results have no sources."""

    batch: Batch
    results: Sequence[Result]
    graded: int  # exercises graded by this run, not before
    faults: Sequence[str]  # sentences about failures that are not the candidates' fault

    @property
    def exit_code(self) -> Exit:
        """Low scores are not a failure; what could not be graded is."""
        return Exit.INTERNAL if self.faults else Exit.PASSED


def grade(
    submissions: Path,
    out: Path,
    *,
    jobs: int | None = None,
    seed: int | None = None,
    level: str | None = None,
    resume: bool = False,
    progress: ShowProgress | None = None,
) -> GradedBatch:
    """Grade a folder of submissions into a results folder.

    Isolation level A is required unless `level` is D. UsageError if nothing can be graded.
    """
    grading_run.check_options(jobs, seed)
    _check_folders(submissions, out)
    with (
        processes.ended_by_signals(),
        results_lock.open_for_grading(out, resume=resume) as folder,
        grading_run.worker_pool(jobs, level) as workers,
    ):
        workers.boot()
        received = _scanned(submissions, workers.scratch, folder)
        for exercise in sorted({one.exercise for r in received for one in r.exercises}):
            requirements.require(catalog.get(exercise))
        batch = _batch(folder, seed, level)
        return _Grading(folder, batch, workers, progress).grade(received)


def _check_folders(submissions: Path, out: Path) -> None:
    if not submissions.is_dir():
        problem = "is not a folder" if submissions.exists() else "does not exist"
        raise UsageError(
            f"{shown(submissions)} {problem}.",
            tip="Pass the folder with the submissions: one zip or folder per candidate.",
        )
    if out.resolve().is_relative_to(submissions.resolve()):
        raise UsageError(
            f"The results folder {shown(out)} would be among the submissions.",
            tip="Use another folder: --out FOLDER",
        )


def _scanned(submissions: Path, scratch: Path, folder: ResultsFolder) -> list[Received]:
    from archprep.interview.submissions.scan import scan

    unpacked = scratch / "unpacked"
    unpacked.mkdir(mode=0o700)
    return scan(submissions, unpacked, folder.known())


def _batch(folder: ResultsFolder, seed: int | None, level: str | None) -> Batch:
    """The folder's batch, or a new one; UsageError if this run would grade differently."""
    isolation = grading_run.tested_isolation(level)
    if not folder.has_begun:
        drawn = session.draw_seed() if seed is None else seed
        now = datetime.now(UTC).isoformat(timespec="seconds")
        batch = Batch(drawn, now, archprep.__version__, isolation)
        folder.begin(batch)
        return batch
    batch = folder.batch()
    if seed not in (None, batch.seed):
        raise UsageError(
            f"These results were graded with seed {batch.seed}, not {seed}.",
            tip="Leave out --seed, or grade into another folder: --out FOLDER",
        )
    grading_run.require_same_level(batch, isolation)
    return batch


class _Grading:
    """One run of a batch."""

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
        self._left: Counter[str] = Counter()  # jobs of each candidate that are not done
        self._faults: list[str] = []

    def grade(self, received: Sequence[Received]) -> GradedBatch:
        """Grade what is not graded yet, and write all reports."""
        jobs = [job for r in received for job in self._jobs(r)]
        self._left = Counter(job.slug for job in jobs)
        total = sum(len(r.exercises) for r in received)
        counter = ProgressCounter(self._workers, total, len(jobs), self._progress)
        for slug in [r.slug for r in received if not self._left[r.slug]]:
            self._write_reports(slug)
        for job, outcome in grading_run.run_jobs(jobs, counter, self._folder):
            self._save(job, outcome)
        results = write_reports.write_batch(self._folder, self._batch)
        return GradedBatch(self._batch, results, len(jobs), [*_faults(results), *self._faults])

    def _jobs(self, received: Received) -> Iterator[BatchJob]:
        """What is still to be graded of a candidate."""
        self._folder.receive(received)
        for one in received.exercises:
            if self._folder.finished(received, one.exercise) is None:
                yield BatchJob(
                    received.slug,
                    received.name,
                    received.digest,
                    one.exercise,
                    grading_run.seed_of(self._batch, one.exercise),
                    self._batch.isolation.level,
                    one.directory,
                    alone=self._folder.is_postponed(received, one.exercise),
                    tasks=one.tasks,
                )

    def _save(self, job: BatchJob, outcome: JobOutcome) -> None:
        self._folder.save(job.slug, job.digest, outcome.graded)
        self._left[job.slug] -= 1
        if not self._left[job.slug]:
            self._write_reports(job.slug)

    def _write_reports(self, slug: str) -> None:
        """Write a candidate's reports; if that fails, the others are still graded."""
        try:
            write_reports.write_candidate(self._folder, slug, self._batch)
        except ArchprepError:
            raise  # a full disk, for example: all others would fail, too
        except Exception as e:  # noqa: BLE001 - a bug in archprep, about one candidate
            self._faults.append(
                f"{slug}: the report could not be written ({type(e).__name__}: {e})."
            )


def _faults(results: Iterable[Result]) -> Iterator[str]:
    for result in results:
        for graded in filter(json_format.lacks_verdicts, result.graded):
            why = graded.problem or grading_run.NO_VERDICT
            yield f"{result.received.name}, {graded.exercise}: {why}"
