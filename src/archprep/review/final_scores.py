"""Final scores: automatic points combined with the overrides of reviewers.

Automatic points are never changed. An override or an answer's mark counts only for the submission
that it was given for. Marks of answers are added up but do not become points.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archprep.core.model import CriterionResult
from archprep.interview.model import Graded, Received, Result
from archprep.review.marks import Mark, MarkKind, Target


@dataclass(frozen=True, slots=True)
class FinalCriterion:
    """A criterion with its automatic points, the override if it has one, and the final points."""

    id: str
    title: str
    task: int
    points: int
    state: str
    automatic: int
    override: Mark | None
    final: int


@dataclass(frozen=True, slots=True)
class FinalExercise:
    """An exercise with its marks. Points are None without a scorecard."""

    exercise: str
    title: str
    max: int
    automatic: int | None
    final: int | None
    problem: str
    criteria: tuple[FinalCriterion, ...]
    answers: tuple[Mark, ...]
    comment: Mark | None

    @property
    def overrides(self) -> tuple[Mark, ...]:
        """The overrides that count."""
        return tuple(c.override for c in self.criteria if c.override)

    @property
    def answer_points(self) -> tuple[int, ...]:
        """The points of answers; an answer may have a comment only."""
        return tuple(mark.points for mark in self.answers if mark.points is not None)


@dataclass(frozen=True, slots=True)
class FinalScorecard:
    """One candidate with all marks. `outdated` marks do not count: what they marked has changed."""

    slug: str
    name: str
    received_at: str
    max: int
    automatic: int | None
    final: int | None
    exercises: tuple[FinalExercise, ...]
    comment: Mark | None
    outdated: tuple[Mark, ...]
    flags: tuple[str, ...]
    problem: str
    digest: str  # of the submission

    @property
    def overrides(self) -> tuple[Mark, ...]:
        """The overrides that count, of all exercises."""
        return tuple(mark for exercise in self.exercises for mark in exercise.overrides)


def final_scorecard(result: Result, marks: Iterable[Mark]) -> FinalScorecard:
    """Combine a candidate's result with marks. Marks of other candidates are ignored."""
    received = result.received
    current = _current(received, marks)
    valid = {target: mark for target, mark in current.items() if _is_valid(mark, received)}
    exercises = tuple(_exercise(received, graded, valid) for graded in result.graded)
    comment = valid.get(Target(received.slug, MarkKind.COMMENT))
    used = {comment, *_used(exercises)}
    return FinalScorecard(
        slug=received.slug,
        name=received.name,
        received_at=received.received_at,
        max=result.max_score,
        automatic=_sum(exercise.automatic for exercise in exercises),
        final=_sum(exercise.final for exercise in exercises),
        exercises=exercises,
        comment=comment,
        outdated=tuple(mark for mark in current.values() if mark not in used),
        flags=received.flags,
        problem=received.problem or "",
        digest=received.digest,
    )


def final_points(result: Result, marks: Iterable[Mark]) -> int | None:
    """The same as `final_scorecard(...).final`, but cheaper; None without any scorecard."""
    if not any(graded.scorecard for graded in result.graded):
        return None
    current = _current(result.received, marks)
    if not current:
        return result.score
    valid = {target: mark for target, mark in current.items() if _is_valid(mark, result.received)}
    slug = result.received.slug
    return sum(
        _points(criterion, valid.get(_override_target(slug, graded, criterion)))
        for graded in result.graded
        if graded.scorecard
        for criterion in graded.scorecard.criteria
    )


# ------------------------------------------------------------------ which marks count


def _current(received: Received, marks: Iterable[Mark]) -> dict[Target, Mark]:
    """The latest version of each mark of this candidate, without removed ones."""
    latest: dict[Target, Mark] = {}
    for mark in marks:
        known = latest.get(mark.target)
        if mark.target.candidate == received.slug and (not known or known.version < mark.version):
            latest[mark.target] = mark
    return {target: mark for target, mark in latest.items() if not mark.is_empty}


def _is_valid(mark: Mark, received: Received) -> bool:
    """Comments are always valid, other marks only for the submission they were given for."""
    return mark.target.kind is MarkKind.COMMENT or mark.digest == received.digest


def _used(exercises: Iterable[FinalExercise]) -> Iterable[Mark | None]:
    for exercise in exercises:
        yield from (*exercise.overrides, *exercise.answers, exercise.comment)


# ------------------------------------------------------------------ one exercise


def _exercise(received: Received, graded: Graded, marks: dict[Target, Mark]) -> FinalExercise:
    card, slug = graded.scorecard, received.slug
    results = card.criteria if card else ()
    criteria = tuple(_criterion(r, marks.get(_override_target(slug, graded, r))) for r in results)
    return FinalExercise(
        exercise=graded.exercise,
        title=card.title if card else "",
        max=graded.possible,
        automatic=sum(c.automatic for c in criteria) if card else None,
        final=sum(c.final for c in criteria) if card else None,
        problem=graded.problem or "",
        criteria=criteria,
        answers=_answers(graded, marks),
        comment=marks.get(Target(slug, MarkKind.COMMENT, graded.exercise)),
    )


def _override_target(slug: str, graded: Graded, result: CriterionResult) -> Target:
    return Target(slug, MarkKind.OVERRIDE, graded.exercise, result.id)


def _criterion(result: CriterionResult, override: Mark | None) -> FinalCriterion:
    fitting = override if _fits(result, override) else None
    return FinalCriterion(
        id=result.id,
        title=result.title,
        task=result.task,
        points=result.points,
        state=str(result.state),
        automatic=result.earned,
        override=fitting,
        final=_points(result, fitting),
    )


def _points(result: CriterionResult, override: Mark | None) -> int:
    if override is None or override.points is None or not _fits(result, override):
        return result.earned
    return override.points


def _fits(result: CriterionResult, override: Mark | None) -> bool:
    """Whether the override is in range: a later grader may give the criterion fewer points."""
    return override is None or 0 <= (override.points or 0) <= result.points


def _answers(graded: Graded, marks: dict[Target, Mark]) -> tuple[Mark, ...]:
    """The marks of answers in the order of the rubric."""
    found = [
        mark
        for target, mark in marks.items()
        if target.kind is MarkKind.ANSWER and target.exercise == graded.exercise
    ]
    return tuple(sorted(found, key=lambda mark: (len(mark.target.item), mark.target.item)))


def _sum(points: Iterable[int | None]) -> int | None:
    """The sum of the known points; None if none are known."""
    known = [number for number in points if number is not None]
    return sum(known) if known else None
