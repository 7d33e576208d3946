"""The words and sums of a scorecard that its reports share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep.core.model import CriterionResult, Reason, Scorecard, State, percent
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprep.core.model import Isolation, TaskResult

STATE_LABELS = {
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.CANDIDATE_ERROR: "error",
    State.BLOCKED: "blocked",
    State.GRADER_ERROR: "not scored",
}
_REASON_LABELS: dict[str, str] = {
    Reason.TIMEOUT: "time-out",
    Reason.MEMORY: "memory",
    Reason.OUTPUT: "output",
    Reason.CRASH: "crash",
    Reason.PROTOCOL: "bad answer",
    Reason.IMPORT: "import",
}
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")
_WHY_BLOCKED = "an earlier task that this one needs earned nothing"


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its criteria; `blocked` ones depend on a task that earned nothing."""

    task: TaskResult
    title: str
    ran: tuple[CriterionResult, ...]
    blocked: tuple[CriterionResult, ...]
    why_blocked: str

    @property
    def not_begun(self) -> str:
        """How many criteria find nothing but the starter's stubs, if that is all of them."""
        results = (*self.ran, *self.blocked)
        if not results or not all(stops_at_a_stub(result) for result in results):
            return ""
        return f"not begun: {len(results)} {plural(len(results), 'criterion', 'criteria')}"


def state_label(result: CriterionResult) -> str:
    """Return the state in one or two words, so that nothing depends on colour."""
    if is_unwritten(result):
        return "not written"
    if result.state is State.CANDIDATE_ERROR:
        return _REASON_LABELS.get(reason_of(result), STATE_LABELS[result.state])
    return STATE_LABELS[result.state]


def task_views(scorecard: Scorecard) -> Iterator[TaskView]:
    """Yield the tasks in order, each with its criteria."""
    for task in scorecard.tasks:
        criteria = [result for result in scorecard.criteria if result.task == task.number]
        blocked = tuple(result for result in criteria if result.state is State.BLOCKED)
        why = next((result.reason for result in blocked if result.reason), None)
        ran = tuple(result for result in criteria if result.state is not State.BLOCKED)
        yield TaskView(
            task, sanitize(task.title, 300), ran, blocked, sanitize(why or _WHY_BLOCKED, 300)
        )


def score(scorecard: Scorecard) -> str:
    """Return the score as the terminal shows it; of a part with its percentage."""
    return f"Score {points(scorecard)}"


def points(scorecard: Scorecard) -> str:
    """Return the points earned of those that could be: 73/100, or 44/52, 85 %."""
    score, most = scorecard.score, scorecard.max_score
    return f"{score}/{most}{share(score, most)}"


def share(score: int, max_score: int) -> str:
    """Return what follows the points of a part: ", 85 %"; empty where points are percent."""
    return "" if max_score == 100 else f", {percent(score, max_score)} %"


def passed_summary(scorecard: Scorecard) -> str:
    """Return how many of the hidden criteria passed, in words."""
    count = len(scorecard.criteria)
    passed = sum(result.state is State.PASSED for result in scorecard.criteria)
    text = f"{passed} of {count} hidden {plural(count, 'criterion', 'criteria')} passed"
    lost = sum(r.points for r in scorecard.criteria if r.state is State.GRADER_ERROR)
    return f"{text}, {lost} points could not be scored" if lost else text


def is_weak(isolation: Isolation) -> bool:
    """Whether the isolation in force is too weak for grading other people's code."""
    holes = any(result == "NOT blocked" for result in isolation.selftest.values())
    return holes or not isolation.level.startswith("A")


def started_at(scorecard: Scorecard) -> str:
    """Return when grading started: 2026-03-01 10:15 UTC."""
    text = sanitize(scorecard.started_at, 40)
    match = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", text)
    return f"{match[1]} {match[2]} UTC" if match else text


def plural(count: int, one: str, many: str) -> str:
    """Return the form that fits the count."""
    return one if count == 1 else many


def reason_of(result: CriterionResult) -> str:
    """Return why a scenario ended without an observation; empty if it did not."""
    return result.reason or ""


def is_unwritten(result: CriterionResult) -> bool:
    """Whether the code that the criterion tests still raises NotImplementedError."""
    return result.state in {State.FAILED, State.CANDIDATE_ERROR} and stops_at_a_stub(result)


def stops_at_a_stub(result: CriterionResult) -> bool:
    """Whether NotImplementedError ended it, blocked or not."""
    return (result.evidence.message or "").startswith("NotImplementedError")


def raised_at(result: CriterionResult) -> str:
    """Return the exception and the line that ended a criterion: KeyError, bus.py:41."""
    if reason_of(result) != Reason.CRASH or is_unwritten(result) or not result.evidence.frames:
        return ""
    frame, match = result.evidence.frames[-1], _EXCEPTION.match(result.evidence.message or "")
    place = f"{sanitize(frame.file, 200)}:{frame.line}"
    return f"{sanitize(match[0], 100)}, {place}" if match else place


def isolation(tested: Isolation) -> str:
    """Return the isolation in one short line; the whole sentence where something is missing."""
    if is_weak(tested):
        return sanitize(tested.sentence, 1000)
    tried = list(tested.selftest.values())
    level = sanitize(tested.level, 40)
    return f"Isolation level {level}, self-test {tried.count('blocked')}/{len(tried)}."
