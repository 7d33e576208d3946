"""Does one job: lays out the workspace as a candidate would have it, grades it or runs pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archprep import judge, workspace
from archprep.author.proof import Examples, Job, Kind, Outcome
from archprep.clean import clean
from archprep.errors import ArchprepError
from archprep.model import Scorecard, Submission

EXAMPLES_SECONDS = 120


def play(job: Job) -> Outcome:
    """Do a job; a fault of the exercise is part of the outcome, and stops no other job."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            if job.kind is Kind.EXAMPLES:
                return Outcome(job, examples=_examples(job, Path(folder)))
            return Outcome(job, cards=_grade(job, Path(folder)))
    except ArchprepError as e:
        return Outcome(job, fault=e.message)
    except Exception as e:  # noqa: BLE001 - a bug of archprep's; the other jobs still tell something
        return Outcome(job, fault=f"archprep itself failed ({type(e).__name__}: {e}).")


def _grade(job: Job, folder: Path) -> tuple[Scorecard, ...]:
    with _frozen(job, folder / "answer") as submission:
        if job.kind is not Kind.FORGED:
            return (judge.grade(job.exercise, submission, seed=job.seed),)
        from archprep.author import forge

        bare = Job(job.exercise, Kind.STARTER, "", job.seed, {})
        with _frozen(bare, folder / "starter") as starter:
            forged = forge.grade(
                job.exercise, submission, starter, seed=job.seed, rounds=job.rounds
            )
            return tuple(forged)


@contextmanager
def _frozen(job: Job, folder: Path) -> Iterator[Submission]:
    folder.mkdir()
    stage = folder / "stage"
    submission = workspace.freeze(_laid_out(job, folder), job.exercise, stage)
    try:
        yield submission
    finally:
        workspace.discard(stage)


def _laid_out(job: Job, folder: Path) -> Path:
    place = workspace.start(job.exercise, folder / job.exercise.folder).path
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
    return Examples(done.returncode, clean(done.stdout, 20_000))
