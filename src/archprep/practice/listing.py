"""`archprep list`: the exercises, and how far the candidate is with each.

Prints without rich, whose import would double the time of this command.
"""

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

    from archprep.core.model import Exercise
    from archprep.workspace.store import Store

SOLVED = "best 100"


@dataclass(frozen=True, slots=True)
class ListedExercise:
    """One exercise as `list` shows it; the fields are those of its JSON."""

    id: str
    title: str
    section: str
    difficulty: str
    minutes: int
    state: str
    summary: str
    core_minutes: int
    core: tuple[str, ...]  # the titles of the core's tasks

    @property
    def time(self) -> str:
        """The minutes of the core and of what goes further, such as 60 + 75."""
        further = self.minutes - self.core_minutes
        return f"{self.core_minutes} + {further}" if further else str(self.minutes)


def select(store: Store, *, section: str, difficulty: str, todo: bool) -> list[ListedExercise]:
    """Return the exercises that pass the filters, in the catalog's order."""
    if difficulty and difficulty.lower() not in manifest.DIFFICULTIES:
        raise UsageError(
            f"--difficulty {difficulty!r} is unknown.",
            tip=f"Choose one: {', '.join(manifest.DIFFICULTIES)}.",
        )
    exercises = catalog.load_all()
    states = store.states(e.id for e in exercises)
    return [
        _listed(e, states[e.id])
        for e in exercises
        if section.lower() in e.section.lower()
        and difficulty.lower() in ("", e.difficulty)
        and not (todo and states[e.id] == SOLVED)
    ]


def _listed(e: Exercise, state: str) -> ListedExercise:
    core = tuple(task.title for task in e.tasks if task.number in e.core)
    facts = (e.id, e.title, e.section, e.difficulty, e.minutes, state, e.summary)
    return ListedExercise(*facts, e.core_minutes, core)


def as_json(exercises: Sequence[ListedExercise]) -> str:
    """Return the exercises as a JSON array."""
    return json.dumps([asdict(exercise) for exercise in exercises], indent=2)


def show(exercises: Sequence[ListedExercise]) -> None:
    """Print the exercises by section."""
    if not exercises:
        print("No exercises match. `archprep list` shows all.")
        return
    for section in dict.fromkeys(e.section for e in exercises):
        print(_styled(section, "1"))
        print(_styled(f"{'id':<5}{'exercise':<43}{'level':<8}{'minutes':>8}  state", "2"))
        for e in (e for e in exercises if e.section == section):
            facts = f"{e.id:<5}{e.title:<43.42}{e.difficulty:<8}{e.time:>8}"
            print(f"{facts}  {_state(e.state)}")
            if e.core:
                print(_styled(f"     core: {', '.join(e.core)}", "2"))
        print()
    print("Start one: archprep start ID")


def _state(state: str) -> str:
    return _styled(state, "32" if state == SOLVED else "2" if state == "not started" else "33")


def _styled(text: str, code: str) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else f"\033[{code}m{text}\033[0m"
