"""Runs an exercise for real: its service, or its DAG in an Airflow, until somebody ends it.

Outside the sandbox, with the user's rights: for one's own code, and to look at the reference.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from archprep.content import exercise_files
from archprep.core.errors import Exit, UsageError
from archprep.core.sanitize import sanitize
from archprep.grading import requirements
from archprep.practice.run import airflow, service
from archprep.sandbox import processes

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Exercise, Runnable
    from archprep.practice.run.process_group import Source


def run(
    exercise: Exercise,
    workspace: Path | None,
    console: Console,
    *,
    once: bool = False,
    date: str | None = None,
) -> Exit:
    """Run what the candidate has in `workspace`, or without one the reference.

    `once` ends it with the DAG's run, whose logical date is `date` or what the schedule says.
    """
    target = exercise.run
    if target is None:
        raise UsageError(
            f"{exercise.id} has no service and no DAG: there is nothing to run.",
            tip="`pytest` in the workspace runs the public examples.",
        )
    requirements.require(exercise)
    if target.app is not None and (once or date):
        raise UsageError(f"{exercise.id} is a service: --once and --date are for a DAG.")
    if date is not None:
        _require_date(date)
    source = _source(exercise, workspace)
    console.print(_heading(exercise, target, workspace), soft_wrap=True)
    with processes.ended_by_signals():
        if target.app is not None:
            service.serve(target.app, source, console)
        dags = PurePosixPath(exercise.entry[0]).parent
        return airflow.run(target, dags, source, console, once=once, date=date)


def _require_date(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{sanitize(text, 60)} is no date.",
            tip="Write it like 2026-03-02, or 2026-03-02T06:00.",
        ) from None


def _heading(exercise: Exercise, target: Runnable, workspace: Path | None) -> str:
    whose = "of the reference" if workspace is None else f"in {workspace}"
    what = target.app or target.dag
    return f"{exercise.id} {exercise.title}: {what} {whose}, outside the sandbox."


def _source(exercise: Exercise, workspace: Path | None) -> Source:
    return (lambda room: _reference(exercise, room)) if workspace is None else lambda _: workspace


def _reference(exercise: Exercise, room: Path) -> Path:
    """Put the reference over the starter, in a folder of its own."""
    folder = room / exercise.folder
    starter, reference = (
        exercise_files.starter_files(exercise),
        exercise_files.reference_files(exercise),
    )
    for name, file in (starter | reference).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    return folder
