"""The folder in which a candidate works: made from the starter, found again, reset, frozen.

A new workspace is built beside its place and renamed into it: one either sees all of it or nothing.
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

from archprep.content import catalog
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize
from archprep.workspace.submission import DISCUSSION, SKIPPED, discard, freeze

__all__ = [
    "Workspace",
    "discard",
    "find",
    "freeze",
    "is_laid_out_like",
    "locate",
    "reset",
    "start",
]

MARKER = ".archprep.json"
README = "README.md"
_FORMAT = 1
_MARKER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace; `missing` names files of the starter that are no longer there."""

    path: Path
    exercise_id: str
    resumed: bool
    missing: tuple[str, ...] = ()


def start(exercise: Exercise, directory: Path) -> Workspace:
    """Make the workspace in `directory`; if it is there already, leave it untouched."""
    directory = _resolved(directory)
    with _explained(directory):
        if _is_occupied(directory):
            return _resume(exercise, directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _built(exercise, directory) as new:
            _put_in_place(new, directory)
    return Workspace(directory, exercise.id, resumed=False)


def reset(exercise: Exercise, directory: Path) -> Path:
    """Move what is in the workspace to a dated folder beside it and put the starter there.

    What archprep never reads (hidden files such as .git, virtual environments) stays in place.
    """
    directory = _resolved(directory)
    with _explained(directory):
        _refuse_foreign(exercise, directory)
        with _built(exercise, directory) as new:
            backup = _free_backup(directory)
            _swap(directory, new, backup)
    return backup


def find(directory: Path) -> str | None:
    """The id of the exercise in whose workspace `directory` lies."""
    workspace = locate(directory)
    return workspace.exercise_id if workspace else None


def locate(directory: Path) -> Workspace | None:
    """The workspace that `directory` is, or lies in."""
    directory = _resolved(directory)
    for path in (directory, *directory.parents):
        if exercise_id := _marked(path):
            return Workspace(path, exercise_id, resumed=True)
    return None


def is_laid_out_like(directory: Path, exercise: Exercise) -> bool:
    """Whether `directory` has the files that the candidate writes, marker or not."""
    return all((directory / name).is_file() for name in exercise.entry)


# ------------------------------------------------------------------ what is there


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
    """The exercise that the marker names; a candidate may have written anything into it."""
    try:
        # O_NONBLOCK: a pipe of that name must not make us wait.
        descriptor = os.open(directory / MARKER, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            content = json.loads(file.read(_MARKER_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    exercise_id = content.get("exercise") if isinstance(content, dict) else None
    return sanitize(exercise_id, 20) if isinstance(exercise_id, str) else None


def _resume(exercise: Exercise, directory: Path) -> Workspace:
    _refuse_foreign(exercise, directory)
    expected = sorted({*catalog.starter_files(exercise), DISCUSSION, README})
    missing = tuple(name for name in expected if not (directory / name).exists())
    return Workspace(directory, exercise.id, resumed=True, missing=missing)


def _refuse_foreign(exercise: Exercise, directory: Path) -> None:
    """Only a workspace of this exercise may be resumed or reset."""
    marked = _marked(directory)
    if marked == exercise.id or (not marked and is_laid_out_like(directory, exercise)):
        return
    if not _is_occupied(directory):
        problem = f"There is no workspace at {directory}."
        tip = f"Make it: archprep start {exercise.id} --dir {directory}"
    elif marked:
        problem = f"{directory} is the workspace of {marked}, not of {exercise.id}."
        tip = "Name another folder with --dir."
    else:
        problem = f"{directory} is not empty and is no workspace of {exercise.id}."
        tip = "Name an empty or a new folder with --dir."
    raise UsageError(sanitize(problem), tip=sanitize(tip))


# ------------------------------------------------------------------ making it


@contextlib.contextmanager
def _built(exercise: Exercise, directory: Path) -> Iterator[Path]:
    """A complete new workspace in a hidden folder; gone afterwards."""
    # Inside a folder that exists: that may be a mount, out of which nothing can be renamed.
    base = directory if directory.is_dir() else directory.parent
    new = base / f".{directory.name}.{secrets.token_hex(4)}.new"
    new.mkdir()
    try:
        _fill(exercise, new, directory)
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(exercise: Exercise, new: Path, directory: Path) -> None:
    for name, source in catalog.starter_files(exercise).items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, new / name)  # not its mode: an installed package may be read-only
    marker = {
        "format": _FORMAT,
        "exercise": exercise.id,
        "version": exercise.version,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name, text in (
        (README, _brief(exercise, directory)),
        (DISCUSSION, catalog.discussion(exercise)),
        (MARKER, json.dumps(marker, indent=2) + "\n"),
    ):
        (new / name).write_text(text, encoding="utf-8")


def _brief(exercise: Exercise, directory: Path) -> str:
    """The brief for this workspace; templates know `exercise` and `workspace`, its path."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - Markdown of ours, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        template = environment.from_string(catalog.brief_template(exercise))
        return template.render(exercise=exercise, workspace=directory)
    except jinja2.TemplateError as error:
        line = f":{error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise ContentError(f"exercises/{exercise.folder}/brief.md{line}: {error}.") from error


def _put_in_place(new: Path, directory: Path) -> None:
    """Rename; but an empty folder is filled, since somebody's shell may stand in it."""
    if directory.exists():
        _move_all(sorted(new.iterdir()), directory)
    else:
        new.rename(directory)


def _swap(directory: Path, new: Path, backup: Path) -> None:
    """Old files out, new files in, by renames only; an interruption takes them back."""
    backup.mkdir()
    try:
        with _undone(_replaced(directory, new), backup):
            _move_all(sorted(new.iterdir()), directory)
    except BaseException:
        with contextlib.suppress(OSError):
            backup.rmdir()  # succeeds only when everything is back
        raise


def _replaced(directory: Path, new: Path) -> list[Path]:
    """What goes into the backup: all that archprep reads or is about to put there."""
    names = {path.name for path in new.iterdir()}
    return [p for p in sorted(directory.iterdir()) if p.name in names or not _is_apart(p)]


def _is_apart(path: Path) -> bool:
    """Whether archprep never reads it: hidden, or a virtual environment."""
    return path.name[0] == "." or path.name in SKIPPED or (path / "pyvenv.cfg").exists()


@contextlib.contextmanager
def _undone(paths: list[Path], target: Path) -> Iterator[None]:
    """Move `paths` into `target`; back again if anything fails before the end."""
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
    with _undone(paths, target):
        pass


def _free_backup(directory: Path) -> Path:
    stem = f"{directory.name}.backup-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
    return next(p for p in map(directory.with_name, names) if not p.exists())


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(directory), 300)} cannot be used: {error.strerror or error}.",
            tip="Make it writable or make room, or name another folder with --dir.",
        ) from error
