"""What grading and regrading share: workers, isolation, seeds, and the second run after a time-out.

Deadlines count the time a submission could have run, so other submissions cost nobody points.
Where a machine does not measure that (macOS), an exercise that timed out next to others is graded
again alone before that counts.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archprep.core.errors import UsageError
from archprep.core.model import MAX_SEED, Limits, Reason
from archprep.grading.process_pool import Workers, cores
from archprep.interview.batch import batch_worker
from archprep.interview.batch.batch_job import BatchJob, JobOutcome
from archprep.interview.batch.progress import ProgressCounter
from archprep.interview.model import Batch, Graded
from archprep.interview.results.results_folder import ResultsFolder
from archprep.sandbox import deadline, failures, selftest

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult, Isolation

REQUIRED_LEVEL = "A"  # unless the user asks for a weaker one by name
NO_VERDICT = "a grader failed, so a criterion has no verdict."


def check_options(jobs: int | None, seed: int | None) -> None:
    """Raise UsageError for numbers that are out of range."""
    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1.", tip="Leave it out to use all cores.")
    if seed is not None and abs(seed) > MAX_SEED:
        raise UsageError(
            f"--seed must be between -{MAX_SEED} and {MAX_SEED}.",
            tip="Leave it out to draw a random one.",
        )


def worker_pool(jobs: int | None, level: str | None) -> Workers[BatchJob, JobOutcome]:
    """Return the processes that grade, not started yet."""
    opened = functools.partial(batch_worker.job_runner, level or REQUIRED_LEVEL)
    count = cores() if jobs is None else jobs
    return Workers(count, opened, batch_worker.lost, "archprep-batch-")


def tested_isolation(level: str | None) -> Isolation:
    """Test the isolation again, since other people's code is about to run."""
    tested = selftest.inspect(level or REQUIRED_LEVEL, fresh=True)
    return selftest.describe(tested, Limits())


def require_same_level(batch: Batch, now: Isolation) -> None:
    """Raise UsageError if the isolation differs: scores would not be comparable."""
    if now.level != batch.isolation.level:
        raise UsageError(
            f"These results were graded at isolation level {batch.isolation.level}, "
            f"but this run would use level {now.level}.",
            tip="Grade as before (same user, same --isolation), or into another folder.",
        )


def seed_of(batch: Batch, exercise: str) -> int:
    """Return the seed of an exercise: the same for all candidates."""
    digest = hashlib.sha256(f"{batch.seed}:{exercise}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10**9


def run_jobs(
    jobs: Sequence[BatchJob], counter: ProgressCounter, folder: ResultsFolder | None
) -> Iterator[tuple[BatchJob, JobOutcome]]:
    """Run jobs in parallel, then alone those that timed out; yield the outcomes that count.

    Jobs that wait for their second run are noted in `folder`, if there is one.
    """
    alone = [job for job in jobs if job.alone]
    for done in counter.run([job for job in jobs if not job.alone]):
        _raise_if_hopeless(done.outcome)
        if not deadline.is_measured() and _timed_out(done.outcome.graded) and not done.alone:
            alone.append(done.job)
            if folder is not None:
                folder.postpone(done.job.slug, done.job.digest, done.job.exercise)
            continue
        counter.count(done.job, done.outcome.graded)
        yield done.job, done.outcome
    for job in alone:
        for done in counter.run([job]):
            _raise_if_hopeless(done.outcome)
            counter.count(done.job, done.outcome.graded)
            yield done.job, done.outcome


def _raise_if_hopeless(outcome: JobOutcome) -> None:
    if outcome.stop is not None:
        message, tip = outcome.stop
        raise UsageError(message, tip=tip)


def _timed_out(graded: Graded) -> bool:
    card = graded.scorecard
    return card is not None and any(map(_is_time_out, card.criteria))


def _is_time_out(result: CriterionResult) -> bool:
    message = result.evidence.message or ""
    is_late_import = result.reason == Reason.IMPORT and failures.IMPORT_TIMEOUT in message
    return is_late_import or result.reason == Reason.TIMEOUT
