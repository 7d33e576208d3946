"""Graded exercises without their large parts: evidence, files and source.

The graded exercises of a thousand candidates take 300 MB, of which the list shows a hundredth.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from sys import intern
from typing import Any, TypedDict

import msgspec
from msgspec.structs import asdict

from archprep import report
from archprep.core.errors import UsageError
from archprep.core.model import CriterionResult, Evidence, Isolation
from archprep.interview.model import FORMAT, Graded


def decode_summary(text: bytes, exercise: str) -> Graded:
    """Decode the file of a graded exercise, but only what a summary needs.

    Raises UsageError if the file is damaged, or is valid only for the full decoder.
    """
    try:
        data = _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"The result of {exercise} cannot be summarized: {error}") from None
    graded = data.graded
    card, problem = graded.scorecard, graded.problem
    is_inconsistent = graded.exercise != exercise or (card is None) is (problem is None)
    if data.format != FORMAT or is_inconsistent:
        raise UsageError(f"The result of {exercise} is damaged.")
    scorecard = None if card is None else report.from_json(_plain(card))
    return Graded(exercise, scorecard, problem, worth=graded.worth)


def summarize(graded: Graded) -> Graded:
    """The same summary of a graded exercise that was decoded in full."""
    card = graded.scorecard
    if card is None:
        return Graded(graded.exercise, problem=graded.problem, worth=graded.worth)
    submission = replace(card.submission, files=())
    criteria = tuple(map(_without_evidence, card.criteria))
    return Graded(graded.exercise, replace(card, submission=submission, criteria=criteria))


def _without_evidence(result: CriterionResult) -> CriterionResult:
    return replace(
        result,
        evidence=Evidence(),
        expected=None,
        observed=None,
        hint=None,
        rules=(),
        broken=None,
    )


# ------------------------------------------------------------------ the keys of a summary


class _Task(TypedDict):
    number: int
    title: str
    points: int
    earned: int


class _Criterion(TypedDict):
    id: str
    title: str
    task: int
    points: int
    earned: int
    state: str
    reason: str | None
    duration_s: float


class _Submission(TypedDict):
    digest: str


class _Scorecard(msgspec.Struct):
    format: int
    exercise: str
    title: str
    exercise_version: int
    archprep_version: str
    score: int
    max_score: int
    partial: bool
    seed: int
    started_at: str
    duration_s: float
    isolation: msgspec.Raw
    submission: _Submission
    tasks: list[_Task]
    criteria: list[_Criterion]
    python: str = ""
    selection: tuple[int, ...] = ()  # `python`, this and `worth` are missing in earlier results


class _Graded(msgspec.Struct):
    exercise: str
    problem: str | None
    scorecard: _Scorecard | None
    worth: int = 100


class _File(msgspec.Struct):
    format: int
    graded: _Graded


_DECODER = msgspec.json.Decoder(_File)


def _plain(card: _Scorecard) -> dict[str, Any]:
    """The scorecard as input for `from_json`; values shared by many are kept in memory once."""
    for named in (*card.tasks, *card.criteria):
        named["title"] = intern(named["title"])
    for criterion in card.criteria:
        criterion["id"] = intern(criterion["id"])
    return asdict(card) | {
        "exercise": intern(card.exercise),
        "title": intern(card.title),
        "archprep_version": intern(card.archprep_version),
        "python": intern(card.python),
        "isolation": _isolation(bytes(card.isolation)),
        "submission": {"digest": card.submission["digest"], "files": ()},
    }


@lru_cache(maxsize=256)
def _isolation(text: bytes) -> Isolation:
    try:
        return msgspec.json.decode(text, type=Isolation)
    except msgspec.MsgspecError as error:
        raise UsageError(f"The isolation is damaged: {error}") from None
