"""Decides what `archprep run` starts: the exercise's service, or its DAG in an Airflow.

It runs outside the sandbox, with the user's permissions: for one's own code and the reference.
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

    from archprep.core.model import Exercise
    from archprep.practice.run.process_group import Source


def run(
    exercise: Exercise,
    workspace: Path | None,
    console: Console,
    *,
    once: bool = False,
    date: str | None = None,
) -> Exit:
    """Run the code in `workspace`, or the reference if that is None.

    `once` returns after the DAG's run; `date` is from when on its schedule makes that run.
    """
    target = exercise.run
    if target is None:
        raise UsageError(
            f"{exercise.id} has neither a service nor a DAG to run.",
            tip="`pytest` in the workspace runs the public examples.",
        )
    requirements.require(exercise)
    if target.app is not None and (once or date):
        raise UsageError(f"{exercise.id} is a service; --once and --date are for a DAG.")
    if date is not None:
        _require_date(date)
    source = _source(exercise, workspace)
    where = "of the reference" if workspace is None else f"in {workspace}"
    console.print(
        f"{exercise.id} {exercise.title}: {target.app or target.dag} {where}, outside the sandbox.",
        soft_wrap=True,
    )
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
            f"--date {sanitize(text, 60)} is not a date.",
            tip="Use a form like 2026-03-02 or 2026-03-02T06:00.",
        ) from None


def _source(exercise: Exercise, workspace: Path | None) -> Source:
    if workspace is None:
        return lambda temporary: _copy_reference(exercise, temporary / exercise.folder)
    return lambda _: workspace


def _copy_reference(exercise: Exercise, folder: Path) -> Path:
    """Copy the starter, and over it the reference."""
    starter = exercise_files.starter_files(exercise)
    for name, file in (starter | exercise_files.reference_files(exercise)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    return folder
