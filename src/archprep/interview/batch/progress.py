"""How far a batch is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from archprep.grading.process_pool import Done, Workers
from archprep.interview.batch.batch_job import BatchJob, JobOutcome, score_or_problem
from archprep.interview.model import Graded


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is, counted in exercises of candidates."""

    total: int
    done: int
    running: int
    failed: int  # without a scorecard
    seconds_left: float | None
    message: str  # about what was just done


ShowProgress = Callable[[BatchProgress], None]


@dataclass
class ProgressCounter:
    """Counts jobs and reports after each one; `left` jobs of `total` are still to do."""

    workers: Workers[BatchJob, JobOutcome]
    total: int
    left: int
    show: ShowProgress | None
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    counted: int = 0

    def run(self, jobs: Sequence[BatchJob]) -> Iterator[Done[BatchJob, JobOutcome]]:
        """Run jobs, and report when each one starts."""
        return self.workers.each(self._reported(jobs))

    def _reported(self, jobs: Sequence[BatchJob]) -> Iterator[BatchJob]:
        for job in jobs:
            yield job
            self._report("")

    def count(self, job: BatchJob, graded: Graded) -> None:
        """Count a job whose outcome is final."""
        self.counted += 1
        self.left -= 1
        self.failed += graded.scorecard is None
        self._report(f"{job.name}, {job.exercise}: {score_or_problem(graded)}")

    def _report(self, message: str) -> None:
        if self.show is None:
            return
        took = time.monotonic() - self.began
        seconds = took / self.counted * self.left if self.counted else None
        done = self.total - self.left
        running = self.workers.running
        self.show(BatchProgress(self.total, done, running, self.failed, seconds, message))
