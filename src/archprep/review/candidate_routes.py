"""Routes about one candidate: the page for marking, print view, history, source and JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter
from fastapi import Path as PathNumber
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)

from archprep.core.sanitize import sanitize
from archprep.interview.results.result_files import dumps
from archprep.review import exports, submitted_files
from archprep.review.earlier_gradings import earlier_gradings
from archprep.review.final_scores import final_scorecard
from archprep.review.listing import ListQuery, neighbours
from archprep.review.review_context import describe_target, download
from archprep.review.side_by_side import pair_files

if TYPE_CHECKING:
    from fastapi.responses import Response

    from archprep.review.review_context import ReviewContext

_Number = Annotated[int, PathNumber(ge=1, le=1_000_000)]


class CandidateRoutes:
    """Pages and files about one candidate."""

    def __init__(self, context: ReviewContext) -> None:
        self._context = context
        self._reader = context.reader

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/candidates/{slug}")
        for path, endpoint in (
            ("", self.candidate),
            ("/print", self.print_view),
            ("/earlier/{number}", self.earlier),
            ("/history", self.history),
            ("/final.json", self.final_json),
            ("/{exercise}/source", self.source),
        ):
            router.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
        return router

    def candidate(self, slug: str, request: Request) -> Response:
        """Everything about the candidate, with forms for marks."""
        query = ListQuery.parse(request.query_params)
        values, snapshot = self._context.candidate_values(slug), self._context.snapshot()
        return self._context.page(
            request,
            "review/candidate.html.j2",
            query=query,
            neighbours=neighbours(
                snapshot.rows, query, snapshot.final_points, snapshot.mark_counts, slug
            ),
            earlier=earlier_gradings(self._reader.earlier(slug), values["result"]),
            **values,
        )

    def print_view(self, slug: str, request: Request) -> Response:
        """One sheet for each exercise, then the source."""
        values = self._context.candidate_values(slug)
        return self._context.page(request, "review/print.html.j2", earlier=None, **values)

    def earlier(self, slug: str, number: _Number, request: Request) -> Response:
        """An earlier grading as a print view."""
        values = self._context.earlier_values(slug, number)
        return self._context.page(request, "review/print.html.j2", earlier=number, **values)

    def history(self, slug: str, request: Request) -> Response:
        """All changes of marks, newest first, with buttons to undo them."""
        result, changes = self._context.result(slug), self._context.history(slug)
        targets = dict.fromkeys(mark.target for mark in changes)
        return self._context.page(
            request,
            "review/history.html.j2",
            name=sanitize(result.received.name, 200),
            slug=slug,
            changes=changes,
            outdated={mark.number for mark in final_scorecard(result, changes).outdated},
            latest={mark.target: mark.number for mark in reversed(changes)},
            before={(mark.target, mark.version + 1): mark for mark in changes},
            descriptions={target: describe_target(target, result) for target in targets},
        )

    def final_json(self, slug: str) -> Response:
        """The final scorecard."""
        final = final_scorecard(self._context.result(slug), self._context.marks.current(slug))
        text = dumps(exports.scorecard(final, self._reader.batch))
        return download(text, f"{slug}.json", "application/json")

    def source(self, slug: str, exercise: str, request: Request) -> Response:
        """The candidate's files next to the reference."""
        result = self._context.result(slug)
        graded = next((g for g in result.graded if g.exercise == exercise), None)
        if graded is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        reference = submitted_files.reference(exercise)
        whole = request.query_params.get("whole") == "1"
        return self._context.page(
            request,
            "review/source.html.j2",
            slug=slug,
            exercise=sanitize(exercise, 40),
            title=submitted_files.material(exercise).title,
            name=sanitize(result.received.name, 200),
            has_reference=bool(reference),
            whole=whole,
            pairs=pair_files(submitted_files.changed_files(graded), reference, whole=whole),
        )
