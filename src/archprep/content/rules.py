"""The numbered rules of a brief: what an exercise promises, and what is graded.

In brief.md a rule is a list item that begins with its number in bold, `* **1.3** Text …`. The
first part of the number is the task. A rule that holds in several places (endpoints, stages)
names them in exercise.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archprep.content import exercise_files
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

# Up to a blank line, the next item, or text that is not indented.
_RULE = re.compile(r"^[*-] \*\*(\d+)\.(\d+)\*\* +(.+(?:\n +.+)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise of the brief; `places` are where it holds, if there are several."""

    id: str  # such as 1.3
    task: int
    text: str
    places: tuple[str, ...] = ()


def load(exercise: Exercise) -> dict[str, Rule]:
    """Return the rules by id, in the order of the brief; empty for a brief without numbers.

    ContentError if a number occurs twice, belongs to no task, or has places but no rule.
    """
    found: dict[str, Rule] = {}
    for rule in _parsed(exercise):
        if rule.id in found:
            raise _error(exercise, f"rule {rule.id} occurs twice")
        if rule.task not in {task.number for task in exercise.tasks}:
            raise _error(exercise, f"rule {rule.id} belongs to no task")
        found[rule.id] = rule
    if unknown := exercise.places.keys() - found.keys():
        raise _error(exercise, f"`places` of exercise.yaml names rule {min(unknown)}")
    return found


def split(name: str) -> tuple[str, str | None]:
    """Return the id and the place of a rule as graders name it: 2.4, or 2.4/refresh."""
    rule, _, place = name.partition("/")
    return rule, place or None


def unknown(rules: dict[str, Rule], names: Iterable[str], task: int) -> Iterator[str]:
    """Yield a sentence for each name that is not a rule of this task or an earlier one."""
    for name in names:
        rule, place = split(name)
        if rule not in rules:
            yield f"the brief has no rule {rule}"
        elif rules[rule].task > task:
            yield f"rule {rule} belongs to a later task"
        elif place is not None and place not in rules[rule].places:
            yield f"rule {rule} has no place {place!r} in exercise.yaml"


def _parsed(exercise: Exercise) -> Iterator[Rule]:
    for task, number, text in _RULE.findall(exercise_files.brief_template(exercise)):
        name = f"{task}.{number}"
        yield Rule(name, int(task), " ".join(text.split()), exercise.places.get(name, ()))


def _error(exercise: Exercise, problem: str) -> ContentError:
    return ContentError(f"exercises/{exercise.folder}/brief.md: {problem}.")
