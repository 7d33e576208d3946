"""The route that compares two candidates on one exercise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)

from archprep.core.sanitize import sanitize
from archprep.review.comparison import compare_criteria
from archprep.review.side_by_side import FilePair, pair_files
from archprep.review.submitted_files import changed_files

if TYPE_CHECKING:
    from fastapi.responses import Response

    from archprep.review.exercise_views import ExerciseView
    from archprep.review.review_context import ReviewContext

Side = dict[str, Any]  # the template values of a candidate


class ComparisonRoutes:
    """The page that compares two candidates."""

    def __init__(self, context: ReviewContext) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        methods = ["GET", "HEAD"]
        router.add_api_route("/compare", self.compare, methods=methods, response_model=None)
        return router

    def compare(self, request: Request) -> Response:
        """Criteria, discussion and source of two candidates side by side."""
        requested = _requested(request)
        sides, unknown = self._sides(requested[:2])
        names = _common_exercises(sides)
        chosen = request.query_params.get("exercise", "")
        exercise = chosen if chosen in names else next(iter(names), "")
        left, right = [_view(side, exercise) for side in sides] if exercise else (None, None)
        whole = request.query_params.get("whole") == "1"
        return self._context.page(
            request,
            "review/compare.html.j2",
            rows=self._context.reader.rows(),
            sides=sides,
            unknown=unknown,
            left_out=len(requested[2:]),
            names=names,
            exercise=exercise,
            criteria=compare_criteria(left, right),
            views=[left, right],
            whole=whole,
            pairs=_pair_files(sides, exercise, whole=whole),
        )

    def _sides(self, requested: list[str]) -> tuple[list[Side], list[str]]:
        """The candidates with these slugs or names, and the texts that match none."""
        rows = self._context.reader.rows()
        slugs = {row.result.received.name.casefold(): row.slug for row in rows}
        slugs |= {row.slug: row.slug for row in rows}
        found = {text: slugs.get(text) or slugs.get(text.casefold()) for text in requested}
        known = dict.fromkeys(slug for slug in found.values() if slug)
        unknown = [sanitize(text, 80) for text, slug in found.items() if not slug]
        return [self._context.candidate_values(slug) for slug in known], unknown


def _requested(request: Request) -> list[str]:
    """The candidates to compare: `a` and `b`, or the boxes checked in the list."""
    parameters = request.query_params
    texts = [parameters.get("a", ""), parameters.get("b", ""), *parameters.getlist("c")]
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _common_exercises(sides: list[Side]) -> list[str]:
    if len(sides) < 2:
        return []
    left, right = ([graded.exercise for graded in side["result"].graded] for side in sides)
    return [name for name in left if name in right]


def _view(side: Side, exercise: str) -> ExerciseView:
    exercises = [graded.exercise for graded in side["result"].graded]
    view: ExerciseView = side["exercises"][exercises.index(exercise)]
    return view


def _pair_files(sides: list[Side], exercise: str, *, whole: bool) -> list[FilePair]:
    if not exercise:
        return []
    left, right = (_changed_files(side, exercise) for side in sides)
    return pair_files(left, right, whole=whole)


def _changed_files(side: Side, exercise: str) -> Mapping[str, str]:
    return changed_files(next(g for g in side["result"].graded if g.exercise == exercise))
