"""What came of an exercise, decoded without what takes room: evidence, files, sources.

The parts of a thousand candidates are 300 MB, of which a list shows a hundredth.
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


def skimmed(text: bytes, exercise: str) -> Graded:
    """The file of a part; UsageError when it is damaged or of a form that must be read whole."""
    try:
        data = _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"{exercise} cannot be skimmed: {error}") from None
    graded = data.graded
    card, problem = graded.scorecard, graded.problem
    is_odd = graded.exercise != exercise or (card is None) is (problem is None)
    if data.format != FORMAT or is_odd:
        raise UsageError(f"The result of {exercise} is damaged.")
    scorecard = None if card is None else report.from_json(_plain(card))
    return Graded(exercise, scorecard, problem)


def bare(graded: Graded) -> Graded:
    """The same of a part that was read whole."""
    card = graded.scorecard
    if card is None:
        return Graded(graded.exercise, problem=graded.problem)
    submission = replace(card.submission, files=())
    criteria = tuple(map(_verdict, card.criteria))
    return Graded(graded.exercise, replace(card, submission=submission, criteria=criteria))


def _verdict(result: CriterionResult) -> CriterionResult:
    return replace(result, evidence=Evidence(), expected=None, observed=None, hint=None)


# ------------------------------------------------------------------ the keys that are needed


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


class _Card(msgspec.Struct):
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


class _Graded(msgspec.Struct):
    exercise: str
    problem: str | None
    scorecard: _Card | None


class _Part(msgspec.Struct):
    format: int
    graded: _Graded


_DECODER = msgspec.json.Decoder(_Part)


def _plain(card: _Card) -> dict[str, Any]:
    """The scorecard as `from_json` checks it; what is the same for many is held only once."""
    for named in (*card.tasks, *card.criteria):
        named["title"] = intern(named["title"])
    for criterion in card.criteria:
        criterion["id"] = intern(criterion["id"])
    return asdict(card) | {
        "exercise": intern(card.exercise),
        "title": intern(card.title),
        "archprep_version": intern(card.archprep_version),
        "isolation": _isolation(bytes(card.isolation)),
        "submission": {"digest": card.submission["digest"], "files": ()},
    }


@lru_cache(maxsize=256)
def _isolation(text: bytes) -> Isolation:
    try:
        return msgspec.json.decode(text, type=Isolation)
    except msgspec.MsgspecError as error:
        raise UsageError(f"The isolation is damaged: {error}") from None
