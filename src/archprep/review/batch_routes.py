"""Routes about all candidates: the list, statistics, charts, exports and static files."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)

from archprep.interview.reports import pages, statistics
from archprep.report import html
from archprep.review import charts, exports
from archprep.review.candidate_results import WAITING
from archprep.review.candidate_rows import LABELS
from archprep.review.final_scores import FinalScorecard, final_scorecard
from archprep.review.listing import ListQuery, list_page
from archprep.review.review_context import download

if TYPE_CHECKING:
    from archprep.review.candidate_rows import CandidateRow
    from archprep.review.review_context import ReviewContext, Snapshot

_STATIC_FILES = {
    "review.css": (
        ("report/report.css", "interview/interview.css", "review/review.css"),
        "text/css",
    ),
    "review.js": (("review/review.js",), "text/javascript"),
    "icon.svg": (("review/icon.svg",), "image/svg+xml"),
}
# An SVG image cannot use the page's style sheet, only its own.
_IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class BatchRoutes:
    """Pages and files about the whole batch."""

    def __init__(self, context: ReviewContext) -> None:
        self._context = context
        self._reader = context.reader

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        for path, endpoint in (
            ("/", self.candidates),
            ("/statistics", self.statistics),
            ("/charts/distribution.svg", self.distribution),
            ("/charts/{exercise}/{name}.svg", self.chart),
            ("/export/marks.csv", self.csv),
            ("/export/marks.json", self.json),
            ("/static/{name}", self.static),
        ):
            router.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
        return router

    def candidates(self, request: Request) -> Response:
        """The list of candidates."""
        query = ListQuery.parse(request.query_params)
        snapshot = self._context.snapshot()
        page = list_page(snapshot.rows, query, snapshot.final_points, snapshot.mark_counts)
        names = statistics.exercises([row.result for row in snapshot.rows])
        return self._context.page(
            request,
            "review/list.html.j2",
            list_page=page,
            shown=[
                (r, pages.candidate_row(r.result, names), _changed(r, snapshot)) for r in page.rows
            ],
            query=query,
            final_points=snapshot.final_points,
            mark_counts=snapshot.mark_counts,
            waiting=sum(WAITING in row.labels for row in snapshot.rows),
            names=names,
            labels=LABELS,
            candidates=len(snapshot.rows),
            being_graded=self._reader.is_being_graded(),
            **pages.batch_context(self._reader.batch),
        )

    def statistics(self, request: Request) -> Response:
        """Statistics of the exercises."""
        return self._context.page(
            request,
            "review/statistics.html.j2",
            statistics=self._reader.statistics(),
            min_candidates=statistics.MIN_CANDIDATES,
            spread=pages.spread_text,
        )

    def distribution(self) -> Response:
        """The chart of all total scores."""
        shares = (statistics.share(row.result) for row in self._reader.rows())
        return _image(charts.distribution([100 * share for share in shares if share is not None]))

    def chart(self, exercise: str, name: str) -> Response:
        """A chart about one exercise."""
        draw = {"shares": charts.shares, "discrimination": charts.discrimination}
        found = {e.key: e for e in self._reader.statistics().exercises}
        if name not in draw or exercise not in found:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _image(draw[name](found[exercise].criteria))

    def csv(self) -> Response:
        """The final scores of all candidates as a table."""
        return download(exports.to_csv(self._scorecards()), "marks.csv", "text/csv")

    def json(self) -> Response:
        """The final scorecards of all candidates."""
        text = exports.to_json(self._scorecards(), self._reader.batch)
        return download(text, "marks.json", "application/json")

    def _scorecards(self) -> list[FinalScorecard]:
        snapshot = self._context.snapshot()
        marked = snapshot.scorecards
        return [marked.get(r.slug) or final_scorecard(r.result, ()) for r in snapshot.rows]

    def static(self, name: str) -> Response:
        """The style sheet, the script or the icon."""
        if name not in _STATIC_FILES:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        files, media_type = _STATIC_FILES[name]
        return Response("".join(map(html.template_text, files)), media_type=media_type)


def _changed(row: CandidateRow, snapshot: Snapshot) -> dict[str, int | None]:
    """The final points of exercises in which overrides have changed them."""
    scorecard = snapshot.scorecards.get(row.slug)
    exercises = scorecard.exercises if scorecard else ()
    return {e.exercise: e.final for e in exercises if e.final != e.automatic}


def _image(svg: str) -> Response:
    headers = {"Content-Security-Policy": _IMAGE_POLICY}
    return Response(svg, media_type="image/svg+xml", headers=headers)
