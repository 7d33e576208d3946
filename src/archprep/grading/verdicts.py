"""Turns the outcome of a criterion's function into its verdict, and verdicts into points."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.core.errors import CandidateError, GraderFault
from archprep.core.model import CriterionResult, Evidence, Exercise, Reason, State, TaskResult
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from archprep.grading.api import Unmet

_SHOWN = 4000  # characters of a sentence or of an input


def of(
    blank: CriterionResult, error: BaseException | None, *, compared: bool, prints: str
) -> CriterionResult:
    """Return the result of a criterion that ended with `error`, or without one.

    A criterion passes only if it compared something and everything agreed. Any unforeseen
    exception is the grader's fault, and the criterion is not scored.
    """
    from archprep.grading.api import Unmet

    if _interrupted(error):
        raise KeyboardInterrupt
    if isinstance(error, CandidateError):
        return _with_prints(_of_candidate_error(blank, error), prints)
    if isinstance(error, Unmet):
        return _with_prints(_of_unmet(blank, error), prints)
    if error is not None:
        return replace(blank, state=State.GRADER_ERROR, reason=_blame(error))
    if not compared:
        return replace(blank, state=State.GRADER_ERROR, reason="the criterion compared nothing")
    return replace(blank, state=State.PASSED, earned=blank.points, hint=None)


def costs_nothing_again(rules: Collection[str]) -> str:
    """Return what a criterion observed that earns its points although the answer differs."""
    return f"differs only where {', '.join(sorted(rules))} broke, which costs nothing again"


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused it: cleaning up afterwards may have raised another exception."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _with_prints(result: CriterionResult, prints: str) -> CriterionResult:
    if result.state is not State.FAILED or result.evidence.output:
        return result
    return replace(result, evidence=replace(result.evidence, output=prints))


def _blame(error: BaseException) -> str:
    """Name the place in the grader; the message could reveal an expected value."""
    if isinstance(error, GraderFault):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"


def _of_unmet(result: CriterionResult, error: Unmet) -> CriterionResult:
    evidence = Evidence(given=_cleaned(error.given), difference=_cleaned(error.difference))
    return replace(
        result,
        state=State.FAILED,
        expected=_cleaned(error.expected),
        observed=_cleaned(error.observed),
        evidence=evidence,
    )


def _of_candidate_error(result: CriterionResult, error: CandidateError) -> CriterionResult:
    evidence = Evidence(
        given=_cleaned(error.given), frames=error.frames, output=error.output, message=error.message
    )
    if error.exception == "NotImplementedError" and error.reason is Reason.CRASH:
        return replace(
            result,
            state=State.FAILED,
            expected=result.title,
            observed=_not_written(error),
            evidence=evidence,
        )
    return replace(
        result,
        state=State.CANDIDATE_ERROR,
        reason=error.reason.value,
        expected=result.title,
        observed=_SENTENCES[error.reason].format(error.message),
        evidence=evidence,
    )


_SENTENCES = {
    Reason.TIMEOUT: "Time-out: {}.",
    Reason.MEMORY: "Too much memory: {}.",
    Reason.OUTPUT: "Too much output: your code {}.",
    Reason.CRASH: "Your code did not get through: {}.",
    Reason.PROTOCOL: "Not an answer: your code {}.",
    Reason.IMPORT: "Your code cannot be imported: {}.",
}


def _not_written(error: CandidateError) -> str:
    where = (
        f"{error.frames[-1].function} ({error.frames[-1].file}:{error.frames[-1].line})"
        if error.frames
        else "a method"
    )
    return f"Not written yet: {where} raises NotImplementedError."


def block(exercise: Exercise, criteria: tuple[CriterionResult, ...]) -> tuple[CriterionResult, ...]:
    """Mark criteria that fail because an earlier task earns nothing: show the cause once."""
    earned = {
        t.number: sum(c.earned for c in criteria if c.task == t.number) for t in exercise.tasks
    }
    seen = {c.task for c in criteria}
    missing = {
        t.number: [n for n in t.needs if n in seen and not earned[n]] for t in exercise.tasks
    }
    return tuple(
        replace(
            c,
            state=State.BLOCKED,
            reason=f"needs task {missing[c.task][0]}, which earns nothing yet",
        )
        if missing[c.task] and c.state in (State.FAILED, State.CANDIDATE_ERROR)
        else c
        for c in criteria
    )


def by_task(exercise: Exercise, criteria: tuple[CriterionResult, ...]) -> tuple[TaskResult, ...]:
    """Add up the points by task."""
    return tuple(
        TaskResult(t.number, t.title, sum(c.points for c in mine), sum(c.earned for c in mine))
        for t in exercise.tasks
        if (mine := [c for c in criteria if c.task == t.number])
    )


def _cleaned(text: str | None) -> str | None:
    return None if text is None else sanitize(text, _SHOWN)
