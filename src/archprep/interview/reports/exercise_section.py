"""One exercise on a candidate's page: scorecard, source, changes to the starter, discussion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archprep.core.sanitize import sanitize
from archprep.interview.model import Batch, Graded, Result
from archprep.interview.reports import discussion, evidence, starter_diff
from archprep.interview.reports.discussion import Answer
from archprep.interview.reports.exercise_material import ExerciseMaterial, material
from archprep.interview.reports.starter_diff import StarterDiff
from archprep.report import causes, html, wording
from archprep.workspace.submission import DISCUSSION

if TYPE_CHECKING:
    from archprep.core.model import CriterionResult, Scorecard
    from archprep.report.causes import Cause, Detail

_MAX_LINES = 20_000  # of one exercise's source: a browser must be able to open the page

NumberedFiles = list[tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class ExerciseSection:
    """One exercise on a candidate's page, sanitized but without any layout."""

    prefix: str  # of the HTML ids in it
    exercise: str
    title: str
    problem: str
    card: Scorecard | None
    facts: dict[str, Any]  # from the scorecard; empty without one
    others: dict[int, list[tuple[CriterionResult, list[Detail]]]]
    notices: tuple[str, ...]
    notes: tuple[str, ...]
    files: NumberedFiles
    file_of: dict[str, int]
    left_out: int  # lines of source
    invisible: list[str]
    comparison: StarterDiff | None
    answers: list[Answer]


def sections(result: Result, batch: Batch) -> list[ExerciseSection]:
    """Return a section for each exercise of a candidate."""
    numbered = enumerate(result.graded, 1)
    return [section(graded, n, batch, material(graded.exercise)) for n, graded in numbered]


def section(graded: Graded, number: int, batch: Batch, given: ExerciseMaterial) -> ExerciseSection:
    """Return the section for one exercise; `number` makes the HTML ids in it unique."""
    card, source = graded.scorecard, graded.source
    files, left_out = _source_lines(source, given.starter)
    exercise = sanitize(graded.exercise, 40)
    return ExerciseSection(
        prefix=f"e{number}-",
        exercise=exercise,
        title=f"{exercise} {sanitize(card.title if card else given.title, 200)}".strip(),
        problem="" if card else sanitize(graded.why or "The reason is unknown."),
        card=card,
        facts=_facts(card) if card else {},
        others=_others(card) if card else {},
        notices=tuple(_notices(card, given, batch)) if card else (),
        notes=tuple(sanitize(note) for note in graded.notes),
        files=files,
        file_of={name: n for n, (name, _) in enumerate(files)},
        left_out=left_out,
        invisible=list(_invisible(source)),
        comparison=_comparison(source, given.starter),
        answers=discussion.answers(source.get(DISCUSSION), given) if source else [],
    )


# ------------------------------------------------------------------ the scorecard


def _facts(card: Scorecard) -> dict[str, Any]:
    facts = html.facts(card)
    found: list[Cause] = facts["causes"]
    facts["causes"] = [replace(c, details=tuple(_without_advice(c.details))) for c in found]
    return facts


def _without_advice(details: Sequence[Detail]) -> Iterator[Detail]:
    return (detail for detail in details if detail.label not in evidence.ADVICE)


def _others(card: Scorecard) -> dict[int, list[tuple[CriterionResult, list[Detail]]]]:
    """Evidence that criteria with a shared cause have in addition to that of the first one."""
    found: dict[int, list[tuple[CriterionResult, list[Detail]]]] = {}
    for number, cause in enumerate(causes.find_causes(card)):
        shown = evidence.evidence(card, cause.first)
        for result in cause.results[1:] if not wording.is_unwritten(cause.first) else ():
            if own := [d for d in evidence.evidence(card, result) if d not in shown]:
                found.setdefault(number, []).append((result, own))
    return found


def _notices(card: Scorecard, given: ExerciseMaterial, batch: Batch) -> Iterator[str]:
    """What makes this score differ from others in the batch."""
    own, common = card.isolation, batch.isolation
    # The limits belong to the exercise: they are not a difference.
    if (own.level, own.selftest) != (common.level, common.selftest):
        kind = (
            "Provisional: graded with weaker isolation."
            if wording.is_weak(own)
            else "Graded with other isolation than the rest of the batch."
        )
        yield f"{kind} {sanitize(own.sentence, 1000)}"
    if card.partial:
        yield "Only part of the exercise was checked."
    if given.missing:
        yield given.missing
    elif given.version != card.exercise_version:
        yield (
            f"Graded with version {card.exercise_version} of the exercise; the starter and the "
            f"rubric below are from version {given.version}."
        )


# ------------------------------------------------------------------ the source


def _source_lines(
    source: Mapping[str, str], starter: Mapping[str, str]
) -> tuple[NumberedFiles, int]:
    """The files that the candidate wrote, and how many of their lines are left out."""
    own = {n: t for n, t in source.items() if n != DISCUSSION and starter.get(n) != t}
    listed: NumberedFiles = []
    budget, all_lines = _MAX_LINES, html.numbered(own)
    for name, lines in all_lines:
        listed.append((name, lines[:budget]))
        budget -= len(listed[-1][1])
    return listed, sum(len(lines) for _, lines in all_lines) - (_MAX_LINES - budget)


def _comparison(source: Mapping[str, str], starter: Mapping[str, str]) -> StarterDiff | None:
    return starter_diff.compare(source, starter) if source and starter else None


def _invisible(source: Mapping[str, str]) -> Iterator[str]:
    """Files with characters that are not shown: they may do something other than they seem to."""
    for name, text in sorted(source.items()):
        hidden = len(text.replace("\r\n", "\n")) - len(sanitize(text, len(text)))
        if hidden > 0:
            yield f"{sanitize(name, 300)} ({hidden})"
