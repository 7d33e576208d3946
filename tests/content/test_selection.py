"""Some of an exercise's tasks: how they are named, and what goes with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archprep.content import catalog, selection
from archprep.core.errors import UsageError
from archprep.core.model import Exercise, Task

BRIEF = "# T\n\n## Task 1 · A\n\none\n\n## Task 2 · B\n\ntwo\n\n### more\n\n## Afterwards\n\nend\n"


@pytest.fixture
def exercise(content: Path) -> Exercise:
    """Four tasks; the third needs the first, the fourth the third."""
    tasks = (
        Task(1, "A", minutes=30),
        Task(2, "B", minutes=20),
        Task(3, "C", (1,), 40),
        Task(4, "D", (3,), 10),
    )
    return replace(catalog.get("q1"), tasks=tasks, minutes=100, core=(1, 2))


def command(right: str) -> str:
    return f"archprep start q1 --tasks {right}"


@pytest.mark.parametrize(
    ("text", "tasks", "minutes"),
    [
        ("1", (1,), 30),
        ("1-2", (1, 2), 50),
        ("1, 3", (1, 3), 70),
        ("core", (1, 2), 50),
        ("1-", (), 100),
        ("1,2,3-4", (), 100),
    ],
)
def test_tasks_are_numbers_ranges_or_the_core(
    exercise: Exercise, text: str, tasks: tuple[int, ...], minutes: int
) -> None:
    """All of them are the whole exercise."""
    found = selection.chosen(exercise, text, command)
    assert (found.selection, found.minutes) == (tasks, minutes)


def test_a_task_comes_with_those_it_builds_on(exercise: Exercise) -> None:
    """The message has the command that is right."""
    with pytest.raises(UsageError) as caught:
        selection.chosen(exercise, "2,4", command)
    assert caught.value.message == "Task 4 of q1 builds on task 3."
    assert caught.value.tip == "To fix: archprep start q1 --tasks 1,2,3,4"


@pytest.mark.parametrize("text", ["", "0", "5", "1-5", "a", "1;2", "1,,2", "-2", "9" * 50])
def test_anything_else_is_refused(exercise: Exercise, text: str) -> None:
    """With an example."""
    with pytest.raises(UsageError, match="does not select tasks of q1: it has 1 to 4") as caught:
        selection.chosen(exercise, text, command)
    assert "or core" in (caught.value.tip or "")


@pytest.mark.parametrize("tasks", [(), [], None, "1", [9], [True], [1, "2"], {"a": 1}])
def test_what_is_stored_may_be_anything(exercise: Exercise, tasks: object) -> None:
    """A workspace's marker can be edited: nonsense means the whole exercise."""
    assert selection.stored(exercise, tasks) == exercise


def test_the_brief_has_the_selected_tasks_only(exercise: Exercise) -> None:
    """What stands before and after the tasks stays."""
    brief = selection.brief_of(selection.stored(exercise, [2]), BRIEF)
    assert brief == "# T\n\n## Task 2 · B\n\ntwo\n\n### more\n\n## Afterwards\n\nend\n"
