"""The folder in which a candidate works: created from the starter, found again, reset.

A new workspace is built under a temporary name and renamed: it appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archprep.content import exercise_files, selection
from archprep.core.errors import ContentError, UsageError
from archprep.core.files import is_litter
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize
from archprep.workspace.submission import DISCUSSION

MARKER = ".archprep.json"
README = "README.md"
_FORMAT = 1
_MARKER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace; `missing` names the starter's files that are gone.

    `tasks` is the selection that its marker states, which its owner may have changed.
    """

    path: Path
    exercise_id: str
    resumed: bool
    missing: tuple[str, ...] = ()
    tasks: object = ()


def start_workspace(exercise: Exercise, directory: Path) -> Workspace:
    """Create the workspace in `directory`; one that already exists is left untouched."""
    directory = _resolved(directory)
    with _explained(directory):
        if _is_occupied(directory):
            return _resume(exercise, directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _built(exercise, directory) as new:
            _put_in_place(new, directory)
    return Workspace(directory, exercise.id, resumed=False)


def reset_workspace(exercise: Exercise, directory: Path) -> Path:
    """Restore the starter and return the dated folder that now holds the previous files.

    What archprep never reads (hidden files such as .git, virtual environments) stays in place.
    """
    directory = _resolved(directory)
    with _explained(directory):
        _refuse_foreign(exercise, directory)
        with _built(exercise, directory) as new:
            backup = _free_backup(directory)
            _swap(directory, new, backup)
    return backup


def find_workspace(directory: Path) -> Workspace | None:
    """Return the workspace that `directory` is, or lies in."""
    directory = _resolved(directory)
    for path in (directory, *directory.parents):
        if exercise_id := _marked(path):
            return Workspace(path, exercise_id, resumed=True, tasks=_marker(path).get("tasks", ()))
    return None


def looks_like_workspace(directory: Path, exercise: Exercise) -> bool:
    """Whether `directory` has the files that the candidate writes; the marker is not needed."""
    return all((directory / name).is_file() for name in exercise.entry)


# -- what exists -------------------------------------------------------------------------------


def _resolved(directory: Path) -> Path:
    with _explained(directory):
        return directory.expanduser().resolve()


def _is_occupied(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def _marked(directory: Path) -> str | None:
    """The exercise that the marker names."""
    exercise_id = _marker(directory).get("exercise")
    return sanitize(exercise_id, 20) if isinstance(exercise_id, str) else None


def _marker(directory: Path) -> dict[str, Any]:
    """What the marker contains, if anything; the candidate may have changed it."""
    try:
        # O_NONBLOCK: opening a named pipe would wait for its other end.
        descriptor = os.open(directory / MARKER, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            content = json.loads(file.read(_MARKER_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _resume(exercise: Exercise, directory: Path) -> Workspace:
    _refuse_foreign(exercise, directory)
    kept = selection.stored(exercise, _marker(directory).get("tasks", ()))
    if exercise.selection and kept.selection != exercise.selection:
        numbers = kept.selection or [task.number for task in exercise.tasks]
        raise UsageError(
            f"{sanitize(str(directory), 300)} was started with {selection.in_words(numbers)}.",
            tip="Nothing was changed. Name another folder with --dir.",
        )
    expected = sorted({*exercise_files.starter_files(exercise), DISCUSSION, README})
    missing = tuple(name for name in expected if not (directory / name).exists())
    return Workspace(directory, exercise.id, resumed=True, missing=missing, tasks=kept.selection)


def _refuse_foreign(exercise: Exercise, directory: Path) -> None:
    """Only a workspace of this exercise may be resumed or reset."""
    marked = _marked(directory)
    if marked == exercise.id or (not marked and looks_like_workspace(directory, exercise)):
        return
    if not _is_occupied(directory):
        problem = f"There is no workspace at {directory}."
        tip = f"Create it: archprep start {exercise.id} --dir {directory}"
    elif marked:
        problem = f"{directory} is the workspace of {marked}, not of {exercise.id}."
        tip = "Name another folder with --dir."
    else:
        problem = f"{directory} is not empty and not a workspace of {exercise.id}."
        tip = "Name an empty or new folder with --dir."
    raise UsageError(sanitize(problem), tip=sanitize(tip))


# -- building ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _built(exercise: Exercise, directory: Path) -> Iterator[Path]:
    """Build a complete workspace in a hidden folder, which is removed afterwards."""
    # Inside an existing folder: if that is a mount, nothing can be renamed into it from outside.
    base = directory if directory.is_dir() else directory.parent
    new = base / f".{directory.name}.{secrets.token_hex(4)}.new"
    new.mkdir()
    try:
        _fill(exercise, new, directory)
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(exercise: Exercise, new: Path, directory: Path) -> None:
    for name, source in exercise_files.starter_files(exercise).items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        # Without its mode: the installed package may be read-only.
        shutil.copyfile(source, new / name)
    marker = {
        "format": _FORMAT,
        "exercise": exercise.id,
        "version": exercise.version,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    } | ({"tasks": exercise.selection} if exercise.selection else {})
    for name, text in (
        (README, _brief(exercise, directory)),
        (DISCUSSION, exercise_files.discussion(exercise)),
        (MARKER, json.dumps(marker, indent=2) + "\n"),
    ):
        (new / name).write_text(text, encoding="utf-8")


def _brief(exercise: Exercise, directory: Path) -> str:
    """Render the brief; templates know `exercise` and `workspace`, its path."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - renders Markdown, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        template = environment.from_string(exercise_files.brief_template(exercise))
        brief = template.render(exercise=exercise, workspace=directory)
    except jinja2.TemplateError as error:
        line = f":{error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise ContentError(f"exercises/{exercise.folder}/brief.md{line}: {error}.") from error
    return selection.brief_of(exercise, brief)


def _put_in_place(new: Path, directory: Path) -> None:
    """Rename `new` to `directory`; an existing empty one is filled: a shell may be in it."""
    if directory.exists():
        _move_all(sorted(new.iterdir()), directory)
    else:
        new.rename(directory)


def _swap(directory: Path, new: Path, backup: Path) -> None:
    """Move the old files out and the new ones in, by renames; an interruption is undone."""
    backup.mkdir()
    try:
        with _moved(_replaced(directory, new), backup):
            _move_all(sorted(new.iterdir()), directory)
    except BaseException:
        with contextlib.suppress(OSError):
            backup.rmdir()  # succeeds only when everything was moved back
        raise


def _replaced(directory: Path, new: Path) -> list[Path]:
    """What goes into the backup: everything that archprep reads or is about to write."""
    names = {path.name for path in new.iterdir()}
    return [p for p in sorted(directory.iterdir()) if p.name in names or not _is_ignored(p)]


def _is_ignored(path: Path) -> bool:
    """Whether archprep never reads it: hidden, left by a tool, or a virtual environment."""
    hidden = path.name.startswith(".")
    return hidden or is_litter(path.name) or (path / "pyvenv.cfg").exists()


@contextlib.contextmanager
def _moved(paths: list[Path], target: Path) -> Iterator[None]:
    """Move `paths` into `target`, and back again if the block fails."""
    moved: list[Path] = []
    try:
        for path in paths:
            moved.append(path)
            path.rename(target / path.name)
        yield
    except BaseException:
        for path in reversed(moved):
            if not os.path.lexists(path):
                (target / path.name).rename(path)
        raise


def _move_all(paths: list[Path], target: Path) -> None:
    with _moved(paths, target):
        pass


def _free_backup(directory: Path) -> Path:
    stem = f"{directory.name}.backup-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
    return next(p for p in map(directory.with_name, names) if not p.exists())


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn an OSError into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(directory), 300)} cannot be used: {error.strerror or error}.",
            tip="Make it writable, free some space, or name another folder with --dir.",
        ) from error
