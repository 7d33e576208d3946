"""Finds the exercise and the workspace that a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.content import catalog, selection
from archprep.core.errors import UsageError
from archprep.workspace.folder import (
    Workspace,
    find_workspace,
    looks_like_workspace,
    start_workspace,
)

if TYPE_CHECKING:
    from archprep.core.model import Exercise
    from archprep.workspace.store import Store


@dataclass(frozen=True, slots=True)
class LocatedWorkspace:
    """An exercise and the folder in which the candidate works on it."""

    exercise: Exercise
    directory: Path


def start(exercise: Exercise, directory: Path | None, store: Store) -> Workspace:
    """Create or resume the workspace of an exercise, by default where it was last started.

    Does not record it: call `store.remember_workspace` once the user has seen where it is.
    """
    known = store.workspace_of(exercise.id)
    if directory is None and known is not None and find_workspace(known):
        directory = known
    return start_workspace(exercise, directory or _working_directory() / exercise.folder)


def locate_workspace(
    exercise_id: str | None, directory: Path | None, store: Store
) -> LocatedWorkspace:
    """Return the workspace in `directory`, else the one around you, else the last one started."""
    if directory is not None:
        return _locate_in(directory, exercise_id)
    here = find_workspace(_working_directory())
    if here and exercise_id in (None, here.exercise_id):
        return _selected(catalog.get(here.exercise_id), here.path)
    if exercise_id is None:
        return _last_started(store)
    exercise = catalog.get(exercise_id)
    if here and here.exercise_id == exercise.id:
        return _selected(exercise, here.path)
    started = store.workspace_of(exercise.id)
    return _existing(exercise, started or _working_directory() / exercise.folder)


def locate_exercise(exercise_id: str | None, store: Store) -> Exercise:
    """Return the exercise with that id; without one, that of `locate_workspace`."""
    if exercise_id is None:
        return locate_workspace(None, None, store).exercise
    exercise = catalog.get(exercise_id)
    started = store.workspace_of(exercise.id)
    return _selected(exercise, started).exercise if started else exercise


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "The folder you are in has been deleted.", tip="Change to another one: cd"
        ) from None


def _last_started(store: Store) -> LocatedWorkspace:
    last = store.last_started()
    if last is None:
        raise UsageError("No exercise has been started yet.", tip="Start one: archprep start q1")
    return _existing(catalog.get(last[0]), last[1])


def _locate_in(directory: Path, exercise_id: str | None) -> LocatedWorkspace:
    found = find_workspace(directory)
    if exercise_id is not None:
        exercise = catalog.get(exercise_id)
        if found and found.exercise_id == exercise.id:
            return _selected(exercise, found.path)
        return _existing(exercise, directory)
    if found:
        return _selected(catalog.get(found.exercise_id), found.path)
    return _recognized(directory)


def _recognized(directory: Path) -> LocatedWorkspace:
    """Tell the exercise of a folder without a marker by its files."""
    if not directory.is_dir():
        raise UsageError(
            f"The folder {directory} does not exist.", tip="Check the path given to --dir."
        )
    matching = [e for e in catalog.load_all() if looks_like_workspace(directory, e)]
    if len(matching) == 1:
        return LocatedWorkspace(matching[0], directory.resolve())
    raise UsageError(
        f"It is not clear which exercise {directory} belongs to.",
        tip=f"Name it: archprep check q1 --dir {directory}",
    )


def _existing(exercise: Exercise, directory: Path) -> LocatedWorkspace:
    if not directory.is_dir():
        raise UsageError(
            f"{exercise.id} has no workspace at {directory}.",
            tip=f"Start it: archprep start {exercise.id}, or name its folder with --dir.",
        )
    return _selected(exercise, directory.resolve())


def _selected(exercise: Exercise, directory: Path) -> LocatedWorkspace:
    """Return the workspace of the tasks for which it was started."""
    found = find_workspace(directory)
    tasks = found.tasks if found and found.exercise_id == exercise.id else ()
    return LocatedWorkspace(selection.stored(exercise, tasks), directory)
