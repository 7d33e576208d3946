"""What all reports say about results: problems, and the evidence for a verdict as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from archprep.core.model import CriterionResult, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.interview.model import Graded, Result
from archprep.report import causes, wording

MAX_TEXT = 200_000  # characters; grading already limits what it records
ADVICE = {"Look at", "Repeat", "To do"}  # labels of what is meant for the candidate


def scorecards(result: Result) -> list[Scorecard]:
    """Return a candidate's scorecards."""
    return [graded.scorecard for graded in result.graded if graded.scorecard]


def problems(result: Result) -> Iterator[str]:
    """Yield the reasons why something of this candidate has no score."""
    if result.received.problem:
        yield sanitize(result.received.problem)
    for graded in result.graded:
        yield from problems_of(graded)


def problems_of(graded: Graded) -> Iterator[str]:
    """Yield the reasons why something of this exercise has no score."""
    name = sanitize(graded.exercise, 40)
    if graded.scorecard is None:
        yield f"{name} not graded: {sanitize(graded.why or 'the reason is unknown.')}"
    elif not graded.scorecard.scored:
        lost = sum(c.points for c in graded.scorecard.criteria if c.state is State.GRADER_ERROR)
        yield f"{name}: {lost} points could not be scored because the grader failed"


def evidence(card: Scorecard, result: CriterionResult) -> list[causes.Detail]:
    """Return the evidence for one criterion, without advice for the candidate."""
    found = causes.find_causes(replace(card, criteria=(result,)))
    return [detail for cause in found for detail in cause.details if detail.label not in ADVICE]


def as_text(card: Scorecard, result: CriterionResult) -> str:
    """Return the verdict on one criterion and its evidence as plain text."""
    details = (f"{d.label}:{_plain(d)}" for d in evidence(card, result))
    why = f" ({sanitize(result.reason)})" if result.state is State.BLOCKED and result.reason else ""
    return sanitize("\n".join([wording.state_label(result) + why, *details]), MAX_TEXT)


def _plain(detail: causes.Detail) -> str:
    frames = [
        f"{f.file}:{f.line} in {f.function or 'the module'}\n    {f.text}" for f in detail.frames
    ]
    text = "\n".join(frames) or detail.text
    return f"\n{text}" if "\n" in text or detail.kind == "plain" else f" {text}"
