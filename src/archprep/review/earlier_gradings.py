"""Earlier gradings of a candidate, kept when a new submission or grader replaced them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep.core.sanitize import sanitize
from archprep.report import wording

if TYPE_CHECKING:
    from archprep.interview.model import Result


@dataclass(frozen=True, slots=True)
class EarlierGrading:
    """One row of the table; `scores` are pairs of an exercise and its score in words."""

    number: int
    when: str
    same_files: bool
    scores: tuple[tuple[str, str], ...]


def earlier_gradings(found: Sequence[tuple[int, Result]], now: Result) -> list[EarlierGrading]:
    """The earlier gradings of the candidate whose present result is `now`."""
    return [_earlier_grading(number, then, now) for number, then in found]


def _earlier_grading(number: int, then: Result, now: Result) -> EarlierGrading:
    cards = [graded.scorecard for graded in then.graded]
    scores = [
        (sanitize(graded.exercise, 40), wording.points(card) if card else "not graded")
        for graded, card in zip(then.graded, cards, strict=True)
    ]
    when = next((wording.started_at(card) for card in cards if card), "")
    same_files = then.received.digest == now.received.digest
    return EarlierGrading(number, when, same_files, tuple(scores))
