"""Grades a folder of submissions in parallel.

The workers grade, this process alone writes: each result at once, so that it may be killed at any
instant. A part that timed out beside others is graded again alone, before it counts.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import archprep
from archprep.content import catalog
from archprep.core.errors import ArchprepError, Exit, UsageError
from archprep.core.model import MAX_SEED, Limits, Reason
from archprep.grading import requirements, session
from archprep.grading.process_pool import Done, Workers, cores
from archprep.interview import results, work
from archprep.interview.model import Batch, Graded, Received, Result
from archprep.interview.results import Folder
from archprep.interview.work import Job, Outcome
from archprep.sandbox import failures, processes, selftest

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult, Isolation

REQUIRED = "A"  # unless a weaker level is asked for by name


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is: parts, one exercise of a candidate each."""

    total: int
    done: int
    running: int
    failed: int  # without a scorecard
    seconds_left: float | None
    said: str  # what has just been done


Progress = Callable[[Standing], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch that has come to its end; the results are without sources."""

    batch: Batch
    results: Sequence[Result]
    graded: int  # parts that were graded now, not before
    faults: Sequence[str]  # sentences about what failed of ours

    @property
    def exit_code(self) -> Exit:
        """Scores are no failure; what we could not grade is."""
        return Exit.INTERNAL if self.faults else Exit.PASSED


# ------------------------------------------------------------------ grading


def grade(
    submissions: Path,
    out: Path,
    *,
    jobs: int | None = None,
    seed: int | None = None,
    level: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Ended:
    """Grade a folder of submissions into a folder of results.

    Level A is required unless `level` says D. UsageError when nothing can be graded.
    """
    check(jobs, seed)
    _check_places(submissions, out)
    with (
        processes.ended_by_signals(),
        results.begun(out, resume=resume) as folder,
        pool(jobs, level) as workers,
    ):
        workers.boot()
        received = _scanned(submissions, workers.scratch)
        for exercise in sorted({part.exercise for one in received for part in one.parts}):
            requirements.require(catalog.get(exercise))
        batch = _batch(folder, seed, level)
        return _Grading(folder, batch, workers, progress).grade(received)


def check(jobs: int | None, seed: int | None) -> None:
    """Refuse numbers that make no sense."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} processes grade nothing.", tip="Use --jobs 1 or more.")
    if seed is not None and abs(seed) > MAX_SEED:
        raise UsageError(f"{seed} is too large for a seed.", tip="Nine digits are enough.")


def _check_places(submissions: Path, out: Path) -> None:
    if not submissions.is_dir():
        raise UsageError(
            f"There is no folder {results.shown(submissions)}.",
            tip="Name the folder that holds the submissions, one zip or folder for each candidate.",
        )
    if out.resolve().is_relative_to(submissions.resolve()):
        raise UsageError(
            f"The results would lie among the submissions, in {results.shown(out)}.",
            tip="Name another folder: --out FOLDER",
        )


def pool(jobs: int | None, level: str | None) -> Workers[Job, Outcome]:
    """The processes that grade."""
    opened = functools.partial(work.grader, level or REQUIRED)
    count = cores() if jobs is None else jobs
    return Workers(count, opened, work.lost, "archprep-batch-")


def _scanned(submissions: Path, scratch: Path) -> list[Received]:
    from archprep.interview import received

    unpacked = scratch / "unpacked"
    unpacked.mkdir(mode=0o700)
    return received.scan(submissions, unpacked)


def _batch(folder: Folder, seed: int | None, level: str | None) -> Batch:
    """What holds for all: that of the folder, or a new one. Fails where the level does not hold."""
    isolation = tested(level)
    if not folder.has_begun:
        drawn = session.draw_seed() if seed is None else seed
        now = datetime.now(UTC).isoformat(timespec="seconds")
        batch = Batch(drawn, now, archprep.__version__, isolation)
        folder.begin(batch)
        return batch
    batch = folder.batch()
    if seed not in (None, batch.seed):
        raise UsageError(
            f"These results are graded with seed {batch.seed}, not {seed}.",
            tip="Leave --seed away, or grade into another folder: --out FOLDER",
        )
    check_level(batch, isolation)
    return batch


def tested(level: str | None) -> Isolation:
    """Test the isolation anew: other people's code is going to run."""
    tested = selftest.inspect(level or REQUIRED, fresh=True)
    return selftest.describe(tested, Limits())


def check_level(batch: Batch, now: Isolation) -> None:
    """Candidates can be compared only under one level."""
    if now.level != batch.isolation.level:
        raise UsageError(
            f"These results are graded at isolation level {batch.isolation.level}; "
            f"here and now it would be level {now.level}.",
            tip="Grade as before (the same user, the same --isolation), or into another folder.",
        )


def seed_of(batch: Batch, exercise: str) -> int:
    """The seed of an exercise: the same for all candidates."""
    digest = hashlib.sha256(f"{batch.seed}:{exercise}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10**9


class _Grading:
    """One batch under way."""

    def __init__(
        self,
        folder: Folder,
        batch: Batch,
        workers: Workers[Job, Outcome],
        progress: Progress | None,
    ) -> None:
        self._folder = folder
        self._batch = batch
        self._workers = workers
        self._progress = progress
        self._open: Counter[str] = Counter()  # parts of each candidate that are not graded yet
        self._faults: list[str] = []

    def grade(self, received: Sequence[Received]) -> Ended:
        """Grade what is not graded yet, and make all that is made of it."""
        jobs = [job for r in received for job in self._jobs(r)]
        self._open = Counter(job.slug for job in jobs)
        total = sum(len(r.parts) for r in received)
        meter = Meter(self._workers, total, len(jobs), self._progress)
        for slug in [r.slug for r in received if not self._open[r.slug]]:
            self._publish(slug)
        for job, outcome in graded(jobs, meter, self._folder):
            self._keep(job, outcome)
        return self._ended(len(jobs))

    def _jobs(self, received: Received) -> Iterator[Job]:
        """What is still to be graded of a candidate."""
        self._folder.receive(received)
        for part in received.parts:
            if self._folder.finished(received, part.exercise) is None:
                yield Job(
                    received.slug,
                    received.name,
                    received.digest,
                    part.exercise,
                    seed_of(self._batch, part.exercise),
                    self._batch.isolation.level,
                    part.directory,
                    alone=self._folder.is_postponed(received, part.exercise),
                )

    def _keep(self, job: Job, outcome: Outcome) -> None:
        self._folder.keep(job.slug, job.digest, outcome.graded)
        self._open[job.slug] -= 1
        if not self._open[job.slug]:
            self._publish(job.slug)

    def _publish(self, slug: str) -> None:
        """Make a candidate's pages; if that fails, only they are missing."""
        try:
            self._folder.publish(slug, self._batch)
        except ArchprepError:
            raise  # a full disk, say: it would be the same for all others
        except Exception as e:  # noqa: BLE001 - a bug of ours about one candidate
            self._faults.append(f"{slug}: the report could not be made ({type(e).__name__}: {e}).")

    def _ended(self, count: int) -> Ended:
        made = self._folder.publish_batch(self._batch)
        return Ended(self._batch, made, count, [*_faults(made), *self._faults])


def graded(
    jobs: Sequence[Job], meter: Meter, folder: Folder | None
) -> Iterator[tuple[Job, Outcome]]:
    """Grade jobs side by side, then those alone for which that was too much; yield what counts."""
    alone = [job for job in jobs if job.alone]
    for done in meter.watched([job for job in jobs if not job.alone]):
        _end_if_hopeless(done.outcome)
        if _timed_out(done.outcome.graded) and not done.alone:
            alone.append(done.job)
            if folder is not None:
                folder.postpone(done.job.slug, done.job.digest, done.job.exercise)
            continue
        meter.count(done.job, done.outcome.graded)
        yield done.job, done.outcome
    for job in alone:
        for done in meter.watched([job]):
            _end_if_hopeless(done.outcome)
            meter.count(done.job, done.outcome.graded)
            yield done.job, done.outcome


def _end_if_hopeless(outcome: Outcome) -> None:
    if outcome.stop is not None:
        message, tip = outcome.stop
        raise UsageError(message, tip=tip)


def _timed_out(graded: Graded) -> bool:
    card = graded.scorecard
    return card is not None and any(map(_is_late, card.criteria))


def _is_late(result: CriterionResult) -> bool:
    message = result.evidence.message or ""
    imports = result.reason == Reason.IMPORT and failures.IMPORT_TIMEOUT in message
    return imports or result.reason == Reason.TIMEOUT


def _faults(made: Iterable[Result]) -> Iterator[str]:
    for result in made:
        for part in filter(results.failed, result.graded):
            why = part.problem or "a grader failed: a criterion has no verdict."
            yield f"{result.received.name}, {part.exercise}: {why}"


@dataclass
class Meter:
    """Counts parts, and tells how long the rest will take."""

    workers: Workers[Job, Outcome]
    total: int
    left: int
    progress: Progress | None
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    counted: int = 0

    def watched(self, jobs: Sequence[Job]) -> Iterator[Done[Job, Outcome]]:
        """Do jobs, and show that they run."""
        return self.workers.each(self._shown(jobs))

    def _shown(self, jobs: Sequence[Job]) -> Iterator[Job]:
        for job in jobs:
            yield job
            self._tell("")

    def count(self, job: Job, graded: Graded) -> None:
        """One part more is graded for good."""
        self.counted += 1
        self.left -= 1
        self.failed += graded.scorecard is None
        self._tell(f"{job.name}, {job.exercise}: {told(graded)}")

    def _tell(self, said: str) -> None:
        if self.progress is None:
            return
        took = time.monotonic() - self.began
        seconds = took / self.counted * self.left if self.counted else None
        done = self.total - self.left
        running = self.workers.running
        self.progress(Standing(self.total, done, running, self.failed, seconds, said))


def told(graded: Graded) -> str:
    """What came of a part, in a few words: its score, or why there is none."""
    return str(graded.scorecard.score) if graded.scorecard else graded.problem or ""
