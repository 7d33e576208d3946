"""Grades submissions: opens a sandbox, runs the graders, adds up the scorecard.

pytest runs in this process, the trusted one; the candidate's code is in the sandbox. A criterion
passes only by an explicit record made here; totals come from what the graders declare.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import archprep
from archprep.content import exercise_files
from archprep.core.model import GRADED_WITH, Exercise, Scorecard, Submission
from archprep.grading import requirements, verdicts
from archprep.grading.candidate import Candidate
from archprep.grading.pytest_run import Progress, Run
from archprep.grading.reference import Reference
from archprep.grading.wanted import ALL, Wanted
from archprep.sandbox import selftest
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.isolation import secret_folders
from archprep.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archprep.core.model import Isolation
    from archprep.sandbox.fork_server import Stack

__all__ = [
    "Progress",
    "Session",
    "Wanted",
    "boot_config",
    "draw_seed",
    "grade",
    "opened",
    "run_graders",
]


def draw_seed() -> int:
    """Draw the seed of an attempt: it decides every input, and is shown only afterwards."""
    return secrets.randbelow(10**9)


def grade(
    exercise: Exercise,
    submission: Submission,
    *,
    seed: int,
    level: str | None = None,
    wanted: Wanted = ALL,
    progress: Progress | None = None,
) -> Scorecard:
    """Grade a frozen submission; ContentError if archprep or the exercise is at fault."""
    with opened(exercise, submission, level=level, progress=progress) as session:
        return session.grade(submission, seed=seed, wanted=wanted, progress=progress)


@contextmanager
def opened(
    exercise: Exercise,
    first: Submission,
    *,
    level: str | None = None,
    stage: Path | None = None,
    progress: Progress | None = None,
    sweep_factor: int = 1,
) -> Iterator[Session]:
    """Open a sandbox for `first` and for later submissions of the same candidate in `stage`.

    Sweeps play `sweep_factor` times the programs that the graders ask for.
    UsageError when packages that the exercise needs are not installed.
    """
    requirements.require(exercise)
    boot = boot_config(exercise, progress)
    with (
        selftest.sandbox(exercise, first, level, boot, stage) as (sandbox, isolation),
        Reference(exercise, level) as reference,
    ):
        yield Session(exercise, sandbox, isolation, reference, sweep_factor)


class Session:
    """Grades submissions of one candidate in one sandbox, one after another."""

    def __init__(
        self,
        exercise: Exercise,
        sandbox: Sandbox,
        isolation: Isolation,
        reference: Reference,
        sweep_factor: int = 1,
    ) -> None:
        self._exercise = exercise
        self._reference = reference
        self._sweep_factor = sweep_factor
        self.sandbox = sandbox
        self.isolation = isolation

    def grade(
        self,
        submission: Submission,
        *,
        seed: int,
        wanted: Wanted = ALL,
        progress: Progress | None = None,
    ) -> Scorecard:
        """Grade a submission; between two gradings no code of the candidate's runs."""
        self.sandbox.renew(submission)
        self.sandbox.prepare(self._exercise.limits)
        candidate = Candidate(self._exercise, self.sandbox)
        card = run_graders(
            self._exercise,
            submission,
            candidate,
            self.isolation,
            seed=seed,
            wanted=wanted,
            progress=progress,
            reference=self._reference,
            sweep_factor=self._sweep_factor,
        )
        self.sandbox.rest()
        return card


def run_graders(
    exercise: Exercise,
    submission: Submission,
    candidate: Candidate,
    isolation: Isolation,
    *,
    seed: int,
    wanted: Wanted = ALL,
    progress: Progress | None = None,
    reference: Reference | None = None,
    sweep_factor: int = 1,
) -> Scorecard:
    """Run the graders against `candidate` and return the scorecard.

    Without `reference` one is opened for this run if a grader asks for it.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    with nullcontext(reference) if reference else Reference(exercise) as ours:
        run = Run(exercise, seed, candidate, wanted, progress, ours, sweep_factor)
        run.execute()
    criteria = verdicts.block(exercise, run.results())
    return Scorecard(
        exercise=exercise.id,
        title=exercise.title,
        exercise_version=exercise.version,
        archprep_version=archprep.__version__,
        python=GRADED_WITH,
        seed=seed,
        started_at=started.isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - clock, 3),
        isolation=isolation,
        submission=submission,
        tasks=verdicts.by_task(exercise, criteria),
        criteria=criteria,
        partial=wanted.partial,
        selection=exercise.selection,
    )


def _stack(exercise: Exercise, progress: Progress | None) -> Stack | None:
    if exercise.stack is None:
        return None
    from archprep.sandbox.fork_server import Stack
    from archprep.sandbox.services import airflow_home

    def say(sentence: str) -> None:
        if progress is not None:
            progress(0, 0, sentence)

    return Stack(
        airflow_home.environment,
        {"ARCHPREP_AIRFLOW_TEMPLATE": airflow_home.template(say)},
        "archprep.worker.airflow",
        airflow_home.PRELOAD,
    )


def boot_config(exercise: Exercise, progress: Progress | None = None) -> BootConfig:
    """Return the configuration of a fork server for this exercise."""
    return BootConfig(
        (exercise.grader_dir / "probes.py").read_text(),
        tuple(name.removesuffix(".py").replace("/", ".") for name in exercise.entry),
        exercise.preload,
        secret_folders(),
        _stack(exercise, progress),
        exercise_files.probe_modules(exercise),
    )
