"""The words and sums of a scorecard that terminal.py and html.py share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep.core.model import CriterionResult, Reason, Scorecard, State
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprep.core.model import Isolation, TaskResult

WORDS = {
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.CANDIDATE_ERROR: "error",
    State.BLOCKED: "blocked",
    State.GRADER_ERROR: "not scored",
}
_REASON_WORDS: dict[str, str] = {
    Reason.TIMEOUT: "time-out",
    Reason.MEMORY: "memory",
    Reason.OUTPUT: "output",
    Reason.CRASH: "crash",
    Reason.PROTOCOL: "bad answer",
    Reason.IMPORT: "import",
}
_NEEDS = "an earlier task that this one needs earned nothing"


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its criteria; those that wait for another task are told apart."""

    task: TaskResult
    title: str
    ran: tuple[CriterionResult, ...]
    blocked: tuple[CriterionResult, ...]
    why_blocked: str


def word(result: CriterionResult) -> str:
    """The state in one or two words, so that nothing depends on colour."""
    if unwritten(result):
        return "not written"
    if result.state is State.CANDIDATE_ERROR:
        return _REASON_WORDS.get(reason(result), WORDS[result.state])
    return WORDS[result.state]


def tasks(scorecard: Scorecard) -> Iterator[TaskView]:
    """The tasks in order, each with its criteria."""
    for task in scorecard.tasks:
        mine = [result for result in scorecard.criteria if result.task == task.number]
        blocked = tuple(result for result in mine if result.state is State.BLOCKED)
        why = next((result.reason for result in blocked if result.reason), None)
        ran = tuple(result for result in mine if result.state is not State.BLOCKED)
        yield TaskView(task, sanitize(task.title, 300), ran, blocked, sanitize(why or _NEEDS, 300))


def sums(scorecard: Scorecard) -> str:
    """How many of the hidden criteria passed, in words."""
    count = len(scorecard.criteria)
    passed = sum(result.state is State.PASSED for result in scorecard.criteria)
    text = f"{passed} of {count} hidden {plural(count, 'criterion', 'criteria')} passed"
    lost = sum(r.points for r in scorecard.criteria if r.state is State.GRADER_ERROR)
    return f"{text}, {lost} points could not be scored" if lost else text


def weak(isolation: Isolation) -> bool:
    """Whether the isolation in force is less than what grading strangers asks for."""
    holes = any(result == "NOT blocked" for result in isolation.selftest.values())
    return holes or not isolation.level.startswith("A")


def when(scorecard: Scorecard) -> str:
    """The start of the attempt, readable: 2026-03-01 10:15 UTC."""
    text = sanitize(scorecard.started_at, 40)
    match = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", text)
    return f"{match[1]} {match[2]} UTC" if match else text


def plural(count: int, one: str, many: str) -> str:
    """The word that fits the count."""
    return one if count == 1 else many


def reason(result: CriterionResult) -> str:
    """Why a scenario ended without an observation; empty where it did not."""
    return result.reason or ""


def unwritten(result: CriterionResult) -> bool:
    """Whether the part that the criterion asks for still raises NotImplementedError."""
    if result.state not in {State.FAILED, State.CANDIDATE_ERROR}:
        return False
    return (result.evidence.message or "").startswith("NotImplementedError")
