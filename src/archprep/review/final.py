"""Automatic and human marks put together: the automatic ones stay as they are, beside the others.

An override counts for the submission that it was given for and for no other. Marks of discussion
answers are summed, and never become points.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archprep.core.model import CriterionResult
from archprep.interview.model import Graded, Received, Result
from archprep.review.marks import Kind, Mark, Target

# What an interviewer gives the answer to one point of the rubric.
MARKS = {0: "nothing", 1: "weak", 2: "partly", 3: "good", 4: "strong"}

_MOST = 100  # points of an exercise


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion with both its marks; `final` are the points that count."""

    id: str
    title: str
    task: int
    points: int
    state: str
    automatic: int
    override: Mark | None
    final: int


@dataclass(frozen=True, slots=True)
class Exercise:
    """An exercise with all its marks; without a scorecard it has no points."""

    exercise: str
    title: str
    max: int
    automatic: int | None
    final: int | None
    problem: str
    criteria: tuple[Criterion, ...]
    answers: tuple[Mark, ...]
    comment: Mark | None

    @property
    def overrides(self) -> tuple[Mark, ...]:
        """Those that count."""
        return tuple(c.override for c in self.criteria if c.override)

    @property
    def answer_points(self) -> tuple[int, ...]:
        """The marks of the answers; an answer may have a remark and no mark."""
        return tuple(mark.points for mark in self.answers if mark.points is not None)


@dataclass(frozen=True, slots=True)
class Final:
    """One candidate. `outdated` marks were given for something that is no more: none counts."""

    slug: str
    name: str
    received_at: str
    max: int
    automatic: int | None
    final: int | None
    exercises: tuple[Exercise, ...]
    comment: Mark | None
    outdated: tuple[Mark, ...]
    flags: tuple[str, ...]
    problem: str
    digest: str  # of what was handed in

    @property
    def overrides(self) -> tuple[Mark, ...]:
        """Those that count, of all exercises."""
        return tuple(mark for exercise in self.exercises for mark in exercise.overrides)


def final(result: Result, marks: Iterable[Mark]) -> Final:
    """What became of a candidate, with the marks that were given; those of others are left out."""
    received = result.received
    standing = _standing(received, marks)
    counted = {target: m for target, m in standing.items() if _counts(m, received)}
    exercises = tuple(_exercise(received, graded, counted) for graded in result.graded)
    comment = counted.get(Target(received.slug, Kind.COMMENT))
    used = {comment, *_used(exercises)}
    return Final(
        slug=received.slug,
        name=received.name,
        received_at=received.received_at,
        max=result.max_score,
        automatic=_sum(exercise.automatic for exercise in exercises),
        final=_sum(exercise.final for exercise in exercises),
        exercises=exercises,
        comment=comment,
        outdated=tuple(mark for mark in standing.values() if mark not in used),
        flags=received.flags,
        problem=received.problem or "",
        digest=received.digest,
    )


def points(result: Result, marks: Iterable[Mark]) -> int | None:
    """The points of `final` by themselves, cheaply; None without any scorecard."""
    if not any(graded.scorecard for graded in result.graded):
        return None
    standing = _standing(result.received, marks)
    if not standing:
        return result.score
    counted = {target: m for target, m in standing.items() if _counts(m, result.received)}
    slug = result.received.slug
    return sum(
        _final(criterion, counted.get(_override(slug, graded, criterion)))
        for graded in result.graded
        if graded.scorecard
        for criterion in graded.scorecard.criteria
    )


# ------------------------------------------------------------------ which marks count


def _standing(received: Received, marks: Iterable[Mark]) -> dict[Target, Mark]:
    """The newest version of each mark of this candidate, without those taken back."""
    newest: dict[Target, Mark] = {}
    for mark in marks:
        known = newest.get(mark.target)
        if mark.target.candidate == received.slug and (not known or known.version < mark.version):
            newest[mark.target] = mark
    return {target: mark for target, mark in newest.items() if not mark.is_empty}


def _counts(mark: Mark, received: Received) -> bool:
    """A comment stays; an override and the mark of an answer are for what was looked at."""
    return mark.target.kind is Kind.COMMENT or mark.digest == received.digest


def _used(exercises: Iterable[Exercise]) -> Iterable[Mark | None]:
    for exercise in exercises:
        yield from (*exercise.overrides, *exercise.answers, exercise.comment)


# ------------------------------------------------------------------ one exercise


def _exercise(received: Received, graded: Graded, marks: dict[Target, Mark]) -> Exercise:
    card, slug = graded.scorecard, received.slug
    results = card.criteria if card else ()
    criteria = tuple(_criterion(r, marks.get(_override(slug, graded, r))) for r in results)
    return Exercise(
        exercise=graded.exercise,
        title=card.title if card else "",
        max=_MOST,
        automatic=sum(c.automatic for c in criteria) if card else None,
        final=sum(c.final for c in criteria) if card else None,
        problem=graded.problem or "",
        criteria=criteria,
        answers=_answers(graded, marks),
        comment=marks.get(Target(slug, Kind.COMMENT, graded.exercise)),
    )


def _override(slug: str, graded: Graded, result: CriterionResult) -> Target:
    return Target(slug, Kind.OVERRIDE, graded.exercise, result.id)


def _criterion(result: CriterionResult, override: Mark | None) -> Criterion:
    fitting = override if _fits(result, override) else None
    return Criterion(
        id=result.id,
        title=result.title,
        task=result.task,
        points=result.points,
        state=str(result.state),
        automatic=result.earned,
        override=fitting,
        final=_final(result, fitting),
    )


def _final(result: CriterionResult, override: Mark | None) -> int:
    if override is None or override.points is None or not _fits(result, override):
        return result.earned
    return override.points


def _fits(result: CriterionResult, override: Mark | None) -> bool:
    """Whether the criterion is worth that much: a grader that was mended may have changed it."""
    return override is None or 0 <= (override.points or 0) <= result.points


def _answers(graded: Graded, marks: dict[Target, Mark]) -> tuple[Mark, ...]:
    """In the rubric's order."""
    found = [
        mark
        for target, mark in marks.items()
        if target.kind is Kind.ANSWER and target.exercise == graded.exercise
    ]
    return tuple(sorted(found, key=lambda mark: (len(mark.target.item), mark.target.item)))


def _sum(found: Iterable[int | None]) -> int | None:
    """The sum of what there is; None where there is nothing."""
    numbers = [number for number in found if number is not None]
    return sum(numbers) if numbers else None
