"""What several commands share on the screen: progress, warnings, errors, written reports."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from archprep.core import terminal
from archprep.core.errors import ArchprepError, Exit, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.core.model import Exercise, Scorecard
    from archprep.workspace.folder import Workspace
    from archprep.workspace.store import Store


@contextmanager
def open_store() -> Iterator[Store]:
    """Open the stored state for a command that shows the store's warnings at its end."""
    from archprep.workspace.store import Store

    with Store.open() as store:
        yield store
        for sentence in store.warnings:
            terminal.say(sentence)


def show_started(exercise: Exercise, workspace: Workspace) -> None:
    """Print where the workspace is and what to do there."""
    from archprep.content import selection

    if workspace.resumed:
        kept = selection.stored(exercise, workspace.tasks).selection
        tasks = f" with {selection.in_words(kept)}" if kept else ""
        print(f"{exercise.id} is already started in {workspace.path}{tasks}; nothing was changed.")
        for name in workspace.missing:
            print(
                f"  missing: {name} (`archprep reset {exercise.id}` makes a backup and restores it)"
            )
    else:
        print(f"{exercise.id} {exercise.title}: your workspace is {workspace.path}")
        numbers = ", ".join(str(task.number) for task in exercise.selected_tasks)
        tasks = f"tasks {numbers}, " if exercise.selection else ""
        print(f"{tasks}{exercise.minutes} minutes".capitalize())
    print()
    print(f"  1. cd {workspace.path}")
    print("  2. Read README.md, the brief.")
    print(f"  3. Write {' and '.join(exercise.entry)}. `pytest` runs the public examples.")
    print("  4. `archprep check` grades it with the hidden criteria and says what is wrong.")


def show_scorecard(card: Scorecard, *, as_json: bool, verbose: bool, repeat: str) -> None:
    """Print a scorecard; `repeat` is the start of the command that repeats a criterion."""
    from archprep import report as reports

    if as_json:
        print(reports.dumps(card))
    else:
        reports.print_scorecard(card, terminal.console(), verbose=verbose, repeat=repeat)


class Progress:
    """One line on standard error, if that is a terminal, that shows how far a command is."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, done: int, total: int, message: str) -> None:
        """Show the count and what happened last."""
        if self._shown:
            count = f"Grading {done}/{total}  " if total else ""
            sys.stderr.write(f"\r\033[K{count}{message}"[: shutil.get_terminal_size().columns + 3])
            sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def write_report(path: Path, text: str) -> None:
    """Write a report; it replaces an earlier report, but UsageError for any other file."""
    from archprep.core.files import write_atomically

    if path.exists() and not _is_report(path):
        raise UsageError(
            f"{path} already exists and is not an archprep report.", tip="Name another file."
        )
    try:
        write_atomically(path.resolve(), text)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.",
            tip="Name a file in a writable folder, on a disk with free space.",
        ) from None
    print(f"Wrote {path}")


def _is_report(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return '"archprep_version"' in text or ("<!doctype html>" in text and "archprep" in text)


def explain(error: ArchprepError) -> Exit:
    """Print what is wrong and what to do; return the exit code."""
    terminal.say(f"Error: {error.message}")
    if error.tip:
        terminal.say(error.tip)
    return error.exit_code
