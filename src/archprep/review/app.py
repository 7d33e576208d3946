"""The pages of a review: routes, and errors as pages.

Who may ask at all is decided before, in `security`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi import Path as PathNumber
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)

from archprep.core import terminal
from archprep.core.errors import ArchprepError, UsageError
from archprep.core.sanitize import sanitize
from archprep.interview import pages, statistics
from archprep.interview.results import dumps
from archprep.report import html
from archprep.review import charts, exports, final, listing, side_by_side, views
from archprep.review.listing import Query
from archprep.review.marks import Stale
from archprep.review.page_context import Desk, subject
from archprep.review.saving import Saving

if TYPE_CHECKING:
    from archprep.review.marks import Marks
    from archprep.review.page_context import Snapshot
    from archprep.review.results_reader import Reading, Row
    from archprep.review.security import Access

_STATIC = {
    "review.css": (
        ("report/report.css", "interview/interview.css", "review/review.css"),
        "text/css",
    ),
    "review.js": (("review/review.js",), "text/javascript"),
    "icon.svg": (("review/icon.svg",), "image/svg+xml"),
}
# An image has no page around it: what stands in the SVG is all the style it has.
_IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_Number = Annotated[int, PathNumber(ge=1, le=1_000_000)]
_NOT_COMPLETE = "Something is missing, or cannot be so. Go back, reload, and try again."
_NOT_FOUND = "There is no such page. The list has all candidates."


def make(reading: Reading, marks: Marks, access: Access, reviewer: str) -> FastAPI:
    """The application, without the guard before it."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    desk = Desk(reading, marks, access, reviewer)
    app.include_router(_Pages(desk).router())
    app.include_router(Saving(desk).router())

    def explain(request: Request, error: Exception) -> Response:
        status, message = _explained(error)
        heading = HTTPStatus(status).phrase.capitalize()
        return desk.page(request, "review/error.html.j2", status, heading=heading, message=message)

    for kind in (ArchprepError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, explain)
    return app


def _explained(error: Exception) -> tuple[int, str]:
    """The status and the sentences for an error."""
    if isinstance(error, HTTPException):
        told = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        return error.status_code, told or _NOT_FOUND
    if isinstance(error, RequestValidationError):
        return HTTPStatus.BAD_REQUEST, _NOT_COMPLETE
    if isinstance(error, ArchprepError):
        status = HTTPStatus.CONFLICT if isinstance(error, Stale) else HTTPStatus.BAD_REQUEST
        if not isinstance(error, UsageError | Stale):
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        return status, f"{error.message} {error.tip or ''}".strip()
    terminal.unexpected(error)
    return (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "archprep itself failed. The terminal in which it runs says where the details are.",
    )


class _Pages:
    """What can be looked at."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reading = desk.reading

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        for path, page in (
            ("/", self.candidates),
            ("/statistics", self.statistics),
            ("/charts/distribution.svg", self.distribution),
            ("/charts/{exercise}/{name}.svg", self.chart),
            ("/compare", self.compare),
            ("/candidates/{slug}", self.candidate),
            ("/candidates/{slug}/print", self.printed),
            ("/candidates/{slug}/earlier/{number}", self.earlier),
            ("/candidates/{slug}/history", self.history),
            ("/candidates/{slug}/final.json", self.final_json),
            ("/candidates/{slug}/{exercise}/source", self.source),
            ("/export/marks.csv", self.table),
            ("/export/marks.json", self.document),
            ("/static/{name}", self.static),
        ):
            router.add_api_route(path, page, methods=["GET", "HEAD"], response_model=None)
        return router

    # -- the batch -----------------------------------------------------------------------------

    def candidates(self, request: Request) -> Response:
        """The list."""
        query = Query.of(request.query_params)
        snapshot = self._desk.snapshot()
        listed = listing.listed(snapshot.rows, query, snapshot.finals, snapshot.counting)
        names = statistics.exercises([row.result for row in snapshot.rows])
        return self._desk.page(
            request,
            "review/list.html.j2",
            listed=listed,
            shown=[(r, pages.row(r.result, names), _changed(r, snapshot)) for r in listed.rows],
            query=query,
            finals=snapshot.finals,
            counting=snapshot.counting,
            waiting=sum("waiting" in row.kinds for row in snapshot.rows),
            names=names,
            kinds=listing.KINDS,
            candidates=len(snapshot.rows),
            being_graded=self._reading.is_being_graded(),
            **pages.about(self._reading.batch),
        )

    def statistics(self, request: Request) -> Response:
        """What the batch says about the exercises."""
        return self._desk.page(
            request,
            "review/statistics.html.j2",
            statistics=self._reading.statistics(),
            fewest=statistics.FEWEST,
            spread=pages.spread,
        )

    def distribution(self) -> Response:
        """The plot of all totals."""
        shares = (statistics.share(row.result) for row in self._reading.rows())
        return _image(charts.distribution([100 * share for share in shares if share is not None]))

    def chart(self, exercise: str, name: str) -> Response:
        """A plot about one exercise."""
        plots = {"shares": charts.shares, "discrimination": charts.discrimination}
        found = {e.exercise: e for e in self._reading.statistics().exercises}
        if name not in plots or exercise not in found:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _image(plots[name](found[exercise].criteria))

    def table(self) -> Response:
        """All candidates' final scores for a spreadsheet."""
        return _file(exports.table(self._finals()), "marks.csv", "text/csv")

    def document(self) -> Response:
        """All candidates' final scorecards."""
        text = exports.document(self._finals(), self._reading.batch)
        return _file(text, "marks.json", "application/json")

    def _finals(self) -> list[final.Final]:
        snapshot = self._desk.snapshot()
        judged = snapshot.judged
        return [judged.get(row.slug) or final.final(row.result, ()) for row in snapshot.rows]

    # -- a candidate ---------------------------------------------------------------------------

    def candidate(self, slug: str, request: Request) -> Response:
        """Everything about one candidate, with the fields for marks."""
        query = Query.of(request.query_params)
        about, snapshot = self._desk.about(slug), self._desk.snapshot()
        before, after, place, total = listing.neighbours(
            snapshot.rows, query, snapshot.finals, snapshot.counting, slug
        )
        return self._desk.page(
            request,
            "review/candidate.html.j2",
            query=query,
            before=before,
            after=after,
            place=place,
            total=total,
            earlier=views.earlier(self._reading.earlier(slug), about["result"]),
            **about,
        )

    def printed(self, slug: str, request: Request) -> Response:
        """One clean page for each exercise, then the source."""
        about = self._desk.about(slug)
        return self._desk.page(request, "review/print.html.j2", earlier=None, **about)

    def earlier(self, slug: str, number: _Number, request: Request) -> Response:
        """A grading that was put aside, in the same form."""
        about = self._desk.about_earlier(slug, number)
        return self._desk.page(request, "review/print.html.j2", earlier=number, **about)

    def history(self, slug: str, request: Request) -> Response:
        """Every change of a mark, the newest first, each with a way back."""
        result, changes = self._desk.result(slug), self._desk.changes(slug)
        targets = dict.fromkeys(mark.target for mark in changes)
        return self._desk.page(
            request,
            "review/history.html.j2",
            name=sanitize(result.received.name, 200),
            slug=slug,
            changes=changes,
            outdated={mark.number for mark in final.final(result, changes).outdated},
            newest={mark.target: mark.number for mark in reversed(changes)},
            before={(mark.target, mark.version + 1): mark for mark in changes},
            subjects={target: subject(target, result) for target in targets},
        )

    def final_json(self, slug: str) -> Response:
        """The final scorecard: automatic and human marks apart."""
        judged = final.final(self._desk.result(slug), self._desk.marks.current(slug))
        text = dumps(exports.scorecard(judged, self._reading.batch))
        return _file(text, f"{slug}.json", "application/json")

    def source(self, slug: str, exercise: str, request: Request) -> Response:
        """The candidate's files beside those of the reference."""
        result = self._desk.result(slug)
        graded = next((g for g in result.graded if g.exercise == exercise), None)
        if graded is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        reference = views.reference(exercise)
        return self._desk.page(
            request,
            "review/source.html.j2",
            slug=slug,
            exercise=sanitize(exercise, 40),
            title=views.material(exercise).title,
            name=sanitize(result.received.name, 200),
            reference=bool(reference),
            whole=_is_whole(request),
            pairs=side_by_side.pairs(views.written(graded), reference, whole=_is_whole(request)),
        )

    def compare(self, request: Request) -> Response:
        """Two candidates side by side on one exercise."""
        asked_for = _asked_for(request)
        sides, unknown = self._sides(asked_for[:2])
        names = _in_both(sides)
        asked = request.query_params.get("exercise", "")
        exercise = asked if asked in names else next(iter(names), "")
        left, right = [_part(side, exercise) for side in sides] if exercise else (None, None)
        return self._desk.page(
            request,
            "review/compare.html.j2",
            rows=self._reading.rows(),
            sides=sides,
            unknown=unknown,
            left_out=len(asked_for[2:]),
            names=names,
            exercise=exercise,
            compared=views.compared(left, right),
            parts_of=[left, right],
            whole=_is_whole(request),
            pairs=_pairs(sides, exercise, whole=_is_whole(request)),
        )

    def _sides(self, asked_for: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """What is known of candidates, by the names of their folders or their own; who is not."""
        rows = self._reading.rows()
        slugs = {row.result.received.name.casefold(): row.slug for row in rows}
        slugs |= {row.slug: row.slug for row in rows}
        found = {text: slugs.get(text) or slugs.get(text.casefold()) for text in asked_for}
        known = dict.fromkeys(slug for slug in found.values() if slug)
        unknown = [sanitize(text, 80) for text, slug in found.items() if not slug]
        return [self._desk.about(slug) for slug in known], unknown

    def static(self, name: str) -> Response:
        """Our own style sheet and script."""
        if name not in _STATIC:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        files, kind = _STATIC[name]
        return Response("".join(map(html.text, files)), media_type=kind)


def _changed(row: Row, snapshot: Snapshot) -> dict[str, int | None]:
    """The exercises in which overrides have changed the points, and to what."""
    judged = snapshot.judged.get(row.slug)
    exercises = judged.exercises if judged else ()
    return {e.exercise: e.final for e in exercises if e.final != e.automatic}


def _asked_for(request: Request) -> list[str]:
    """The candidates to compare: a and b, or the boxes that were ticked in the list."""
    asked = request.query_params
    texts = [asked.get("a", ""), asked.get("b", ""), *asked.getlist("c")]
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _in_both(sides: list[dict[str, Any]]) -> list[str]:
    """The exercises that both have handed in."""
    if len(sides) < 2:
        return []
    left, right = ([graded.exercise for graded in side["result"].graded] for side in sides)
    return [name for name in left if name in right]


def _part(side: dict[str, Any], exercise: str) -> views.Part | None:
    graded = [graded.exercise for graded in side["result"].graded]
    part: views.Part = side["exercises"][graded.index(exercise)]
    return part


def _is_whole(request: Request) -> bool:
    return request.query_params.get("whole") == "1"


def _pairs(sides: list[dict[str, Any]], exercise: str, *, whole: bool) -> list[side_by_side.Pair]:
    if not exercise:
        return []
    left, right = (_written(side, exercise) for side in sides)
    return side_by_side.pairs(left, right, whole=whole)


def _written(side: dict[str, Any], exercise: str) -> Mapping[str, str]:
    return views.written(next(g for g in side["result"].graded if g.exercise == exercise))


def _image(svg: str) -> Response:
    headers = {"Content-Security-Policy": _IMAGE_POLICY}
    return Response(svg, media_type="image/svg+xml", headers=headers)


def _file(text: str, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=kind, headers=headers)
