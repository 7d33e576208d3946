"""`archprep hint`: reveals one more hint for a criterion that fails."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep import report
from archprep.content import criteria, exercise_files
from archprep.core.errors import UsageError
from archprep.core.model import State
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.content.criteria import Criterion
    from archprep.core.model import Exercise, Scorecard
    from archprep.workspace.store import Store


@dataclass(frozen=True, slots=True)
class Hints:
    """The hints revealed so far for one criterion, the newest last.

    `left` is how many remain. `taken` leaves out the first one, which the scorecard shows anyway.
    """

    criterion: str
    title: str
    texts: tuple[str, ...]
    left: int
    taken: int
    folder: str | None = None  # whose last grading they follow, if it is not the workspace


def take_hint(exercise: Exercise, criterion_id: str | None, store: Store) -> Hints:
    """Reveal one more hint for the named criterion, or for the first one that fails."""
    criterion = _choose(exercise, criterion_id, store)
    section = _broken_rule(exercise, criterion.id, store) or criterion.hints[0]
    texts = exercise_files.hints(exercise)[section]
    taken = store.hints_taken(exercise.id).get(criterion.id, 0)
    if taken + 1 < len(texts):
        taken = store.take_hint(exercise.id, criterion.id)
    shown = min(taken + 1, len(texts))
    left, folder = len(texts) - shown, store.last_folder(exercise.id)
    return Hints(criterion.id, criterion.title, tuple(texts[:shown]), left, taken, folder)


def show(exercise: Exercise, hints: Hints, console: Console) -> None:
    """Print the hints revealed so far."""
    from rich.text import Text

    console.print(Text(hints.title, "bold"))
    where = f", for {sanitize(hints.folder, 300)}" if hints.folder else ""
    console.print(Text(f"{exercise.id} {hints.criterion}{where}", "dim"), soft_wrap=True)
    for number, text in enumerate(hints.texts, 1):
        style = "" if number == len(hints.texts) else "dim"
        console.print(Text(_indented(f"  {number}. ", text, console.width), style), soft_wrap=True)
    console.print()
    if hints.left:
        console.print(f"{hints.left} more. Hints taken for this criterion: {hints.taken}.")
    else:
        console.print("That was the last one. README.md has every rule. To see the reference:")
        console.print(f"  archprep solution {exercise.id} --give-up")


def _choose(exercise: Exercise, criterion_id: str | None, store: Store) -> Criterion:
    known = {criterion.id: criterion for criterion in criteria.declared(exercise)}
    if criterion_id is None:
        return known[_first_failing(exercise, known, store)]
    if criterion_id in known:
        return known[criterion_id]
    near = difflib.get_close_matches(criterion_id, known, n=3, cutoff=0.4)
    raise UsageError(
        f"{exercise.id} has no criterion {criterion_id!r}.",
        tip=f"Did you mean {' or '.join(near)}?" if near else f"Choose one: {', '.join(known)}.",
    )


def _broken_rule(exercise: Exercise, criterion_id: str, store: Store) -> str | None:
    """Return the rule that the criterion found broken when it was last graded."""
    latest = {r.id: r.broken for card in _cards(exercise, store) for r in card.criteria}
    broken = latest.get(criterion_id)
    return broken.rule if broken is not None else None


def _first_failing(exercise: Exercise, known: Collection[str], store: Store) -> str:
    """Return the first criterion that did not pass when it was last graded."""
    latest = {r.id: r.state for card in _cards(exercise, store) for r in card.criteria}
    for criterion_id in known:
        if latest.get(criterion_id) is not State.PASSED:
            return criterion_id
    raise UsageError(
        f"Nothing failed in your last attempts at {exercise.id}.",
        tip=f"Grade it again: archprep check {exercise.id}",
    )


def _cards(exercise: Exercise, store: Store) -> Iterator[Scorecard]:
    """Yield the scorecards of the folder that was graded last, oldest first."""
    for attempt in store.attempts(exercise.id, store.last_folder(exercise.id)):
        yield report.loads(attempt.scorecard)


def _indented(head: str, text: str, width: int) -> str:
    """Put `head` before the text and wrap the text beneath its first line."""
    columns = max(width - len(head), 20)
    lines = [
        wrapped
        for line in text.splitlines()
        for wrapped in textwrap.wrap(line, columns, break_on_hyphens=False) or [""]
    ]
    return head + f"\n{' ' * len(head)}".join(lines)
