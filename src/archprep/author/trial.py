"""Does one job: lays out the workspace as a candidate would have it, grades it or runs pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from archprep.author.proof import Examples, Job, Kind, Outcome
from archprep.core.errors import ArchprepError
from archprep.core.model import Scorecard, Submission
from archprep.core.sanitize import sanitize
from archprep.grading import session
from archprep.workspace.folder import start_workspace
from archprep.workspace.submission import discard, freeze

EXAMPLES_SECONDS = 120


class Player:
    """Does job after job; what is graded of one exercise shares a warm sandbox, as in `watch`."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._session: session.Session | None = None
        self._exercise = ""
        self._stage = Path()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def play(self, job: Job) -> Outcome:
        """Do a job; a fault of the exercise is part of the outcome, and stops no other job."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                if job.kind is Kind.EXAMPLES:
                    return Outcome(job, examples=_examples(job, Path(folder)))
                if job.kind is Kind.FORGED:
                    return Outcome(job, cards=_forged(job, Path(folder)))
                return Outcome(job, cards=(self._grade(job, Path(folder)),))
        except ArchprepError as e:
            self._close()
            return Outcome(job, fault=e.message)
        except Exception as e:  # noqa: BLE001 - a bug of archprep's; the other jobs still tell something
            self._close()
            return Outcome(job, fault=f"archprep itself failed ({type(e).__name__}: {e}).")

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
            return self._session.grade(submission, seed=job.seed)

    def _close(self) -> None:
        self._session, self._exercise = None, ""
        self._opened.close()


def _forged(job: Job, folder: Path) -> tuple[Scorecard, ...]:
    from archprep.author import forged_runner

    bare = Job(job.exercise, Kind.STARTER, "", job.seed, {})
    with (
        _frozen(job, folder / "answer", folder / "answer's") as submission,
        _frozen(bare, folder / "starter", folder / "starter's") as starter,
    ):
        cards = forged_runner.grade(
            job.exercise, submission, starter, seed=job.seed, rounds=job.rounds
        )
        return tuple(cards)


@contextmanager
def _frozen(job: Job, folder: Path, stage: Path) -> Iterator[Submission]:
    folder.mkdir(exist_ok=True)
    submission = freeze(_laid_out(job, folder), job.exercise, stage)
    try:
        yield submission
    finally:
        discard(stage)


def _laid_out(job: Job, folder: Path) -> Path:
    place = start_workspace(job.exercise, folder / job.exercise.folder).path
    for name, text in job.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


def _examples(job: Job, folder: Path) -> Examples:
    """Run plain pytest in the workspace, as the brief tells a candidate to."""
    place = _laid_out(job, folder)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    # What is set for our own pytest is none of theirs.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    try:
        done = subprocess.run(  # noqa: S603 - our own exercise
            command,
            cwd=place,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=EXAMPLES_SECONDS,
            start_new_session=True,  # Ctrl-C is for us to pass on
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Examples(-1, f"pytest had not finished after {EXAMPLES_SECONDS} s")
    return Examples(done.returncode, sanitize(done.stdout, 20_000))
