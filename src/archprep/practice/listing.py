"""What the small commands print: the list, a hint, the solution."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from archprep.content import catalog, manifest
from archprep.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from archprep.core.model import Exercise
    from archprep.practice.commands import Hint, Solution
    from archprep.workspace.store import Store

SOLVED = "best 100"


@dataclass(frozen=True, slots=True)
class Row:
    """One exercise as `list` shows it."""

    id: str
    title: str
    section: str
    difficulty: str
    minutes: int
    state: str
    summary: str


def rows(store: Store, *, section: str, difficulty: str, todo: bool) -> list[Row]:
    """Return the exercises that pass the filters, in order."""
    if difficulty and difficulty.lower() not in manifest.DIFFICULTIES:
        raise UsageError(
            f"No exercise is {difficulty!r}.", tip=f"Choose {', '.join(manifest.DIFFICULTIES)}."
        )
    exercises = catalog.load_all()
    states = store.states(e.id for e in exercises)
    found = [
        Row(e.id, e.title, e.section, e.difficulty, e.minutes, states[e.id], e.summary)
        for e in exercises
    ]
    return [
        row
        for row in found
        if section.lower() in row.section.lower()
        and difficulty.lower() in ("", row.difficulty)
        and not (todo and row.state == SOLVED)
    ]


def as_json(found: Sequence[Row]) -> str:
    """Return the rows as a JSON array."""
    return json.dumps([asdict(row) for row in found], indent=2)


def show(found: Sequence[Row]) -> None:
    """Print the rows by section. Without rich: importing it would double this command's time."""
    if not found:
        print("No exercise fits. `archprep list` shows all.")
        return
    for section in dict.fromkeys(row.section for row in found):
        print(_painted(section, "1"))
        print(_painted(f"{'id':<5}{'exercise':<43}{'level':<8}{'minutes':>7}  state", "2"))
        for row in found:
            if row.section == section:
                facts = f"{row.id:<5}{row.title:<43.42}{row.difficulty:<8}{row.minutes:>7}"
                print(f"{facts}  {_state(row.state)}")
        print()
    print("Start one: archprep start ID")


def _state(state: str) -> str:
    return _painted(state, "32" if state == SOLVED else "2" if state == "not started" else "33")


def _painted(text: str, code: str) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else f"\033[{code}m{text}\033[0m"


def show_hint(exercise: Exercise, hint: Hint, console: Console) -> None:
    """Print the hints shown so far, the new one last."""
    from rich.text import Text

    console.print(Text(hint.title, "bold"))
    console.print(Text(f"{exercise.id} {hint.criterion}", "dim"))
    for number, text in enumerate(hint.texts, 1):
        style = "" if number == len(hint.texts) else "dim"
        console.print(Text(_hanging(f"  {number}. ", text, console.width), style), soft_wrap=True)
    console.print()
    if hint.left:
        console.print(f"{hint.left} more. Hints taken for this criterion: {hint.taken}.")
    else:
        console.print("That was the last one. README.md has every rule; the reference opens with")
        console.print(f"  archprep solution {exercise.id} --give-up")


def _hanging(head: str, text: str, width: int) -> str:
    """The text behind `head`, its further lines below its first."""
    import textwrap

    room = max(width - len(head), 20)
    wrapped = (textwrap.wrap(line, room, break_on_hyphens=False) for line in text.splitlines())
    return head + f"\n{' ' * len(head)}".join(part for parts in wrapped for part in parts or [""])


def show_solution(solution: Solution, console: Console) -> None:
    """Print notes, reference and diff."""
    from rich.markdown import Markdown
    from rich.syntax import Syntax

    console.print(Markdown(solution.notes))
    for name, text in solution.files.items():
        console.rule(f"reference: {name}")
        console.print(
            Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        )
    if solution.diff:
        console.rule("yours, and what the reference has instead")
        console.print(
            Syntax(
                solution.diff, "diff", theme="ansi_dark", background_color="default", word_wrap=True
            )
        )
    if solution.gave_up:
        console.print(f"Opened before 100 points; this is recorded for {solution.exercise.id}.")
