"""Runs one job in a worker process: grades an answer, or runs the public examples."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from archprep.author import forged_runner, sweep_survey
from archprep.author.model import Job, JobKind, JobResult, PytestResult
from archprep.core.errors import ArchprepError
from archprep.core.model import Scorecard, Submission
from archprep.core.sanitize import sanitize
from archprep.grading import session
from archprep.workspace.folder import start_workspace
from archprep.workspace.submission import discard, freeze

EXAMPLES_SECONDS = 120


@contextmanager
def job_runner() -> Iterator[Callable[[Job], JobResult]]:
    """Open the runner of a worker process; for `process_pool.Workers`."""
    with JobRunner() as runner:
        yield runner.run


def lost(job: Job, code: int | None) -> JobResult:
    """Return the result of a job whose worker process died; for `process_pool.Workers`."""
    return JobResult(job, error=f"The process that graded {job.name} exited ({code}).")


class JobRunner:
    """Runs jobs one after another; those of one exercise share a warm sandbox, as in `watch`."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._session: session.Session | None = None
        self._exercise = ""
        self._stage = Path()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, job: Job) -> JobResult:
        """Run a job; an error becomes part of the result and stops no other job."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                if job.kind is JobKind.EXAMPLES:
                    return JobResult(job, examples=_run_examples(job, Path(folder)))
                if job.kind is JobKind.FORGED:
                    return JobResult(job, cards=_grade_forged(job, Path(folder)))
                if job.kind is JobKind.SWEEP:
                    with sweep_survey.surveying(job) as surveys:
                        cards = (self._grade(job, Path(folder)),)
                    return JobResult(job, cards=cards, survey=next(iter(surveys), None))
                return JobResult(job, cards=(self._grade(job, Path(folder)),))
        except ArchprepError as e:
            self._close()
            return JobResult(job, error=e.message)
        except Exception as e:  # noqa: BLE001 - a bug in archprep must not stop the other jobs
            self._close()
            return JobResult(job, error=f"archprep failed unexpectedly ({type(e).__name__}: {e}).")

    def _grade(self, job: Job, folder: Path) -> Scorecard:
        if job.exercise.id != self._exercise:
            self._close()
        if self._session is None:
            self._stage = Path(self._opened.enter_context(tempfile.TemporaryDirectory()), "stage")
            self._stage.mkdir(mode=0o755)
        with _frozen(job, folder, self._stage / "answer") as submission:
            if self._session is None:
                opened = session.opened(job.exercise, submission, stage=self._stage)
                self._session = self._opened.enter_context(opened)
                self._exercise = job.exercise.id
            wanted = session.Wanted(
                criterion=job.criterion or None, until_lost=job.kind is JobKind.MUTANT
            )
            return self._session.grade(submission, seed=job.seed, wanted=wanted)

    def _close(self) -> None:
        self._session, self._exercise = None, ""
        self._opened.close()


def _grade_forged(job: Job, folder: Path) -> tuple[Scorecard, ...]:
    starter_job = Job(job.exercise, JobKind.STARTER, "", job.seed, {})
    with (
        _frozen(job, folder / "reference", folder / "reference-stage") as reference,
        _frozen(starter_job, folder / "starter", folder / "starter-stage") as starter,
    ):
        cards = forged_runner.grade(
            job.exercise, reference, starter, seed=job.seed, rounds=job.rounds
        )
        return tuple(cards)


@contextmanager
def _frozen(job: Job, folder: Path, stage: Path) -> Iterator[Submission]:
    folder.mkdir(exist_ok=True)
    submission = freeze(_create_workspace(job, folder), job.exercise, stage)
    try:
        yield submission
    finally:
        discard(stage)


def _create_workspace(job: Job, folder: Path) -> Path:
    root = start_workspace(job.exercise, folder / job.exercise.folder).path
    for name, text in job.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def _run_examples(job: Job, folder: Path) -> PytestResult:
    """Run plain pytest in a workspace, as the brief tells candidates to."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    # Settings of a pytest that archprep itself runs under must not leak in.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    try:
        done = subprocess.run(  # noqa: S603 - our own exercise
            command,
            cwd=_create_workspace(job, folder),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=EXAMPLES_SECONDS,
            start_new_session=True,  # Ctrl-C must reach archprep only
            check=False,
        )
    except subprocess.TimeoutExpired:
        return PytestResult(-1, f"pytest had not finished after {EXAMPLES_SECONDS} s")
    return PytestResult(done.returncode, sanitize(done.stdout, 20_000))
