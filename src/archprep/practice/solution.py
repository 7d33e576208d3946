"""`archprep solution`: opens the reference, earned by 100 points or by giving up."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.content import exercise_files
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Exercise
    from archprep.workspace.store import Store


@dataclass(frozen=True, slots=True)
class Solution:
    """The reference's files by name, its notes, and a diff from the candidate's files."""

    exercise: Exercise
    files: dict[str, str]
    notes: str
    diff: str
    gave_up: bool


def open_solution(exercise: Exercise, store: Store, *, give_up: bool) -> Solution:
    """Return the reference; UsageError before 100 points, unless the candidate gives up.

    Giving up is recorded.
    """
    best = store.best_attempt(exercise.id, exercise.selection)
    solved = best is not None and best.score == best.max_score
    if not solved and not give_up and not store.gave_up(exercise.id):
        so_far = f"your best is {best.score}" if best else "you have no complete attempt yet"
        raise UsageError(
            f"The solution of {exercise.id} opens at 100 points; {so_far}.",
            tip=f"Get a hint with `archprep hint {exercise.id}`, "
            f"or open it now with `archprep solution {exercise.id} --give-up`.",
        )
    if not solved:
        store.give_up(exercise.id)
    files = exercise_files.reference(exercise)
    workspace = store.workspace_of(exercise.id)
    return Solution(
        exercise=exercise,
        files=files,
        notes=exercise_files.notes(exercise),
        diff="\n".join(_diff(workspace, files)) if workspace else "",
        gave_up=not solved,
    )


def show(solution: Solution, console: Console) -> None:
    """Print notes, reference and diff."""
    from rich.markdown import Markdown

    console.print(Markdown(solution.notes))
    for name, text in solution.files.items():
        console.rule(f"reference: {name}")
        _print_code(text, "python", console)
    if solution.diff:
        console.rule("from your code to the reference")
        _print_code(solution.diff, "diff", console)
    if solution.gave_up:
        console.print(f"Opened before 100 points; this is recorded for {solution.exercise.id}.")


def _print_code(text: str, language: str, console: Console) -> None:
    from rich.syntax import Syntax

    console.print(
        Syntax(text, language, theme="ansi_dark", background_color="default", word_wrap=True)
    )


def _diff(workspace: Path, reference: dict[str, str]) -> Iterator[str]:
    for name, text in reference.items():
        own = _read_lines(workspace / name)
        if own is not None:
            yield from difflib.unified_diff(
                own, text.splitlines(), f"yours/{name}", f"reference/{name}", lineterm=""
            )


def _read_lines(path: Path) -> list[str] | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return sanitize(text, len(text)).splitlines()
