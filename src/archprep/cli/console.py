"""What the commands put on the screen beside their results: progress, warnings, errors."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from archprep.core import terminal
from archprep.core.errors import ArchprepError, Exit, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.core.model import Exercise, Scorecard
    from archprep.workspace.folder import Workspace
    from archprep.workspace.store import Store


def show_started(exercise: Exercise, made: Workspace) -> None:
    """Say where the workspace is, and what to do in it."""
    if made.resumed:
        print(f"{exercise.id} is already started in {made.path}; nothing was touched.")
        for name in made.missing:
            print(
                f"  missing: {name} (`archprep reset {exercise.id}` brings it back, after a backup)"
            )
    else:
        print(f"{exercise.id} {exercise.title}: your workspace is {made.path}")
    print()
    print(f"  1. cd {made.path}")
    print("  2. Read README.md, the brief.")
    print(f"  3. Write {' and '.join(exercise.entry)}. `pytest` runs the public examples.")
    print("  4. `archprep check` grades it with the hidden criteria and says what is wrong.")


def show_scorecard(card: Scorecard, *, as_json: bool, verbose: bool, again: str) -> None:
    """Print a scorecard; `again` begins the command that repeats one of its criteria."""
    from archprep import report as reports

    if as_json:
        print(reports.dumps(card))
    else:
        reports.print_scorecard(card, terminal.console(), verbose=verbose, repeat=again)


class Progress:
    """One line on the error output that shows how far a command is, on a terminal only."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, done: int, total: int, said: str) -> None:
        """Show how many of how many are done, and what has just been found out."""
        if self._shown:
            count = f"Grading {done}/{total}  " if total else ""
            sys.stderr.write(f"\r\033[K{count}{said}"[: shutil.get_terminal_size().columns + 3])
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def write_report(path: Path, text: str) -> None:
    """Write a report wholly or not at all; over an earlier one, but over nobody else's file."""
    if path.exists() and not _is_report(path):
        raise UsageError(
            f"{path} is there already and is no report of archprep's.", tip="Name another file."
        )
    target = path.resolve()
    new = target.with_name(f".archprep-{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(target)
    except OSError as e:
        raise UsageError(
            f"{path} cannot be written: {e.strerror}.",
            tip="Name a file in a folder of yours, on a disk with room.",
        ) from None
    finally:
        with suppress(OSError):
            new.unlink()
    print(f"Wrote {path}")


def _is_report(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return '"archprep_version"' in text or ("<!doctype html>" in text and "archprep" in text)


def warn(store: Store) -> None:
    """Say what went wrong with the state on the way."""
    for sentence in store.warnings:
        terminal.say(sentence)


def explain(error: ArchprepError) -> Exit:
    """Say what is wrong and what to do; return the exit code."""
    terminal.say(f"Error: {error.message}")
    if error.tip:
        terminal.say(error.tip)
    return error.exit_code
