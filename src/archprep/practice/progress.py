"""`archprep progress`: scores, attempts and time, the weakest task, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from archprep import report
from archprep.content import catalog
from archprep.core.model import percent
from archprep.practice.locate import locate_exercise

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Exercise
    from archprep.workspace.store import Attempt, Store

LONGEST_PAUSE_S = 30 * 60  # a longer time between two attempts counts as this much work


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """A task and the points that the best attempt at its exercise earned in it."""

    exercise: str
    task: int
    title: str
    earned: int
    points: int


@dataclass(frozen=True, slots=True)
class ExerciseProgress:
    """The progress with one exercise; `best` is None before the first complete attempt."""

    id: str
    title: str
    section: str
    best: int | None
    attempts: int
    minutes: int
    hints: int
    gave_up: bool
    max: int  # points of the tasks that are worked on


@dataclass(frozen=True, slots=True)
class Progress:
    """All exercises in the catalog's order; the fields are those of the JSON.

    `weakest` is the task with the smallest share of its points, `next` the command to continue
    with; None if all exercises are solved.
    """

    rows: tuple[ExerciseProgress, ...]
    weakest: TaskProgress | None
    next: str | None


def collect(store: Store) -> Progress:
    """Compute the progress from the stored attempts."""
    exercises = [locate_exercise(exercise.id, store) for exercise in catalog.load_all()]
    rows = tuple(_row(exercise, store) for exercise in exercises)
    return Progress(rows, _weakest(exercises, store), _next(rows))


def as_json(progress: Progress) -> str:
    """Return the progress as a JSON object."""
    return json.dumps(asdict(progress), indent=2)


def show(progress: Progress, console: Console) -> None:
    """Print the progress by section."""
    from rich.text import Text

    for section in dict.fromkeys(row.section for row in progress.rows):
        rows = [row for row in progress.rows if row.section == section]
        done = sum(row.best or 0 for row in rows)
        console.print(Text(f"{section:<54}{done:>5}/{sum(row.max for row in rows)}", "bold"))
        for row in rows:
            console.print(Text(_line(row), "" if row.attempts else "dim"))
        console.print()
    if progress.weakest is not None:
        weak = progress.weakest
        where = f"{weak.exercise} task {weak.task}, {weak.title}"
        console.print(f"Weakest: {where} ({weak.earned}/{weak.points}).")
    console.print(f"Next:    {progress.next or 'All exercises are solved.'}")


def _line(row: ExerciseProgress) -> str:
    best = "  -" if row.best is None else f"{row.best:>3}"
    if row.max != 100:
        best += f"/{row.max}, {percent(row.best or 0, row.max)} %"
    tries = f"{row.attempts} attempts" if row.attempts != 1 else "1 attempt"
    facts = [tries, f"{row.minutes} min", *([f"{row.hints} hints"] if row.hints else [])]
    if row.gave_up:
        facts.append("solution opened")
    return f"  {row.id:<4} {row.title:<34.33} {best}  {', '.join(facts) if row.attempts else ''}"


def _row(exercise: Exercise, store: Store) -> ExerciseProgress:
    attempts = store.attempts(exercise.id)
    best = store.best_attempt(exercise.id, exercise.selection)
    return ExerciseProgress(
        exercise.id,
        exercise.title,
        exercise.section,
        best.score if best else None,
        len(attempts),
        round(_seconds(a.started_at for a in attempts) / 60),
        sum(store.hints_taken(exercise.id).values()),
        store.gave_up(exercise.id) is not None,
        best.max_score if best else 100,
    )


def _seconds(instants: Iterable[str]) -> float:
    """Estimate the working time from the times of the attempts."""
    times = sorted(datetime.fromisoformat(text).timestamp() for text in instants)
    pauses = (later - earlier for earlier, later in pairwise(times))
    return sum(min(pause, LONGEST_PAUSE_S) for pause in pauses)


def _weakest(exercises: Sequence[Exercise], store: Store) -> TaskProgress | None:
    found = [
        w
        for e in exercises
        if (best := store.best_attempt(e.id, e.selection))
        for w in _unsolved_tasks(e, best)
    ]
    return min(found, key=lambda w: w.earned / w.points, default=None)


def _unsolved_tasks(exercise: Exercise, best: Attempt) -> Iterable[TaskProgress]:
    for task in report.loads(best.scorecard).tasks:
        if task.earned < task.points:
            yield TaskProgress(exercise.id, task.number, task.title, task.earned, task.points)


def _next(rows: Sequence[ExerciseProgress]) -> str | None:
    """Return the command that continues an unsolved exercise, else one that starts a new one."""
    unsolved = [row for row in rows if row.attempts and row.best != row.max]
    if unsolved:
        return f"archprep check {unsolved[0].id}"
    new = [row for row in rows if not row.attempts]
    return f"archprep start {new[0].id}" if new else None
