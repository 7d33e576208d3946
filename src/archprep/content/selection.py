"""Which tasks of an exercise are worked on: all of them, or some, such as its core.

A selection is stored where the work is (workspace, kit, scorecard). Scores of different
selections are not comparable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from archprep.core.errors import UsageError
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize

_PART = re.compile(r"(\d{1,3})(-(\d{1,3})?)?")
_SECTION = re.compile(r"^## Task (\d+)\b.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def chosen(exercise: Exercise, text: str, command: Callable[[str], str]) -> Exercise:
    """Return the exercise with the tasks of a text such as "1-2", "1,3", "2-" or "core".

    UsageError for anything else, and for a task without those it builds on; `command` turns the
    selection that would be right into the command that asks for it.
    """
    numbers = _parsed(exercise, text.strip().lower(), command)
    for task in exercise.tasks:
        missing = [n for n in task.needs if task.number in numbers and n not in numbers]
        if missing:
            right = ",".join(map(str, sorted({*numbers, *_needed(exercise, numbers)})))
            raise UsageError(
                f"Task {task.number} of {exercise.id} builds on task {missing[0]}.",
                tip=f"To fix: {command(right)}",
            )
    return with_tasks(exercise, sorted(numbers))


def stored(exercise: Exercise, tasks: object) -> Exercise:
    """Return the exercise with a selection that was stored; whole if it is not one of its own."""
    known = {task.number for task in exercise.tasks}
    if not isinstance(tasks, list | tuple) or not {*map(repr, tasks)} <= {*map(repr, known)}:
        return exercise
    return with_tasks(exercise, sorted(set(tasks)))


def with_tasks(exercise: Exercise, tasks: Sequence[int]) -> Exercise:
    """Return the exercise with a selection of its tasks, and their minutes; () for all."""
    if not tasks or len(tasks) == len(exercise.tasks):
        return exercise
    minutes = [task.minutes or 0 for task in exercise.tasks if task.number in tasks]
    return replace(exercise, selection=tuple(tasks), minutes=sum(minutes) or exercise.minutes)


def brief_of(exercise: Exercise, brief: str) -> str:
    """Return the text of a brief without the sections of tasks that are not selected."""
    wanted = {task.number for task in exercise.selected_tasks}
    return _SECTION.sub(lambda found: found[0] if int(found[1]) in wanted else "", brief)


def in_words(tasks: Sequence[int]) -> str:
    """Return "task 2", or "tasks 1, 2"."""
    return f"task{'s' * (len(tasks) > 1)} {', '.join(map(str, tasks))}"


def _parsed(exercise: Exercise, text: str, command: Callable[[str], str]) -> set[int]:
    if text == "core" and exercise.core:
        return set(exercise.core)
    last = len(exercise.tasks)
    parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
    ranges = [
        range(int(p[1]), int(p[3] or (last if p[2] else p[1])) + 1) for p in parts if p is not None
    ]
    numbers = {n for one in ranges for n in one}
    if None in parts or not numbers or not numbers <= set(range(1, last + 1)):
        core = " or core" if exercise.core else ""
        raise UsageError(
            f"{sanitize(text, 40)!r} does not select tasks of {exercise.id}: it has 1 to {last}.",
            tip=f"Write numbers and ranges{core}, for example: {command('1-2')}",
        )
    return numbers


def _needed(exercise: Exercise, numbers: set[int]) -> set[int]:
    """Return the tasks that these build on, directly or not; a task needs earlier ones only."""
    found = set(numbers)
    for task in reversed(exercise.tasks):
        if task.number in found:
            found |= set(task.needs)
    return found
