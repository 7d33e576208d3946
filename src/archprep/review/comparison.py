"""Two candidates side by side, criterion by criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from archprep.review.exercise_views import CriterionView, ExerciseView


@dataclass(frozen=True, slots=True)
class CriterionComparison:
    """One criterion of two candidates; a side is None if it was not graded."""

    title: str
    points: int
    task: int
    left: CriterionView | None
    right: CriterionView | None

    @property
    def differs(self) -> bool:
        """Whether the candidates have different final points."""
        return _final(self.left) != _final(self.right)


def compare_criteria(
    left: ExerciseView | None, right: ExerciseView | None
) -> list[CriterionComparison]:
    """The criteria of an exercise, in the order of its tasks."""
    left_by_id, right_by_id = _by_id(left), _by_id(right)
    ids = dict.fromkeys([*left_by_id, *right_by_id])
    return [_compare(left_by_id.get(name), right_by_id.get(name)) for name in ids]


def _by_id(exercise: ExerciseView | None) -> dict[str, CriterionView]:
    if exercise is None:
        return {}
    return {view.result.id: view for task in exercise.tasks for view in task.criteria}


def _compare(left: CriterionView | None, right: CriterionView | None) -> CriterionComparison:
    known = left or right
    assert known is not None
    result = known.result
    title = sanitize(result.title, 300)
    return CriterionComparison(title, result.points, result.task, left, right)


def _final(view: CriterionView | None) -> int | None:
    return view.final.final if view else None
