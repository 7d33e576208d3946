"""The criteria that the graders of an exercise declare, read from their source.

Parsing instead of running it lets commands complete ids and find hints without importing pytest.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep.content.rules import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprep.core.model import Exercise


@dataclass(frozen=True, slots=True)
class Criterion:
    """One declared criterion; `hints` are its sections of hints.md, one for each rule."""

    id: str
    title: str
    task: int
    points: int
    rules: tuple[str, ...] = ()
    hint: str = ""  # instead of rules, in an exercise without numbered ones

    @property
    def hints(self) -> tuple[str, ...]:
        """The names of its sections of hints.md."""
        return tuple(dict.fromkeys(split(r)[0] for r in self.rules)) or (self.hint,)


def declared(exercise: Exercise) -> list[Criterion]:
    """Return the criteria of an exercise's selected tasks, ordered by task."""
    selected = {task.number for task in exercise.selected_tasks}
    found = [
        criterion
        for path in sorted(exercise.grader_dir.glob("test_*.py"))
        for criterion in _declared_in(ast.parse(path.read_text()))
    ]
    return sorted((c for c in found if c.task in selected), key=lambda c: c.task)


def criterion_id(function: str) -> str:
    """Return the id of a test function: denied-not-counted for test_denied_not_counted."""
    return function.removeprefix("test_").replace("_", "-")


def _declared_in(module: ast.Module) -> Iterator[Criterion]:
    for function in module.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "criterion":
                values = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords if k.arg}
                title = ast.literal_eval(decorator.args[0])
                values["rules"] = tuple(values.get("rules", ()))
                yield Criterion(criterion_id(function.name), title, **values)
