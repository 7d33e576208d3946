"""What reviewers send: marks, what is taken back, their name. Nothing that was typed is lost."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)

from archprep.core.errors import ArchprepError
from archprep.core.sanitize import sanitize
from archprep.review import views
from archprep.review.final import MARKS
from archprep.review.forms import MarkForm, ReviewerForm, UndoForm
from archprep.review.listing import Query
from archprep.review.marks import Kind, Stale
from archprep.review.page_context import subject

if TYPE_CHECKING:
    from archprep.interview.model import Result
    from archprep.review.page_context import Desk

_BY_SCRIPT = "x-requested-with"  # a header that no form of another site can send


class Saving:
    """Takes what comes from the forms."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        for path, action in (("/marks", self.save), ("/undo", self.undo), ("/reviewer", self.name)):
            router.add_api_route(path, action, methods=["POST"], response_model=None)
        return router

    def save(self, sent: Annotated[MarkForm, Form()], request: Request) -> Response:
        """Save a mark at once; what cannot be saved is shown again."""
        self._desk.check(sent.key)
        result = self._desk.result(sent.candidate)
        most, automatic = _worth(sent, result)
        try:
            sent.check_submission(result.received.digest)
            points, text = sent.value(most)
            mark = self._desk.marks.save(
                sent.target,
                points=points,
                text=text,
                version=sent.version,
                digest=result.received.digest,
                automatic=automatic,
                who=self._desk.who(request),
            )
        except ArchprepError as error:
            return self._not_saved(request, sent, error, most, result)
        if _BY_SCRIPT in request.headers:
            return JSONResponse({"version": mark.version, "said": f"Saved by {sanitize(mark.who)}"})
        return _back(sent)

    def _not_saved(
        self, request: Request, sent: MarkForm, error: ArchprepError, most: int, result: Result
    ) -> Response:
        stale = isinstance(error, Stale)
        return self._desk.page(
            request,
            "review/conflict.html.j2",
            HTTPStatus.CONFLICT if stale else HTTPStatus.UNPROCESSABLE_ENTITY,
            error=error,
            stale=stale,
            current=error.current if isinstance(error, Stale) else None,
            sent=sent,
            most=most,
            subject=subject(sent.target, result),
            digest=result.received.digest,
            name=sanitize(result.received.name, 200),
        )

    def undo(self, sent: Annotated[UndoForm, Form()], request: Request) -> Response:
        """Take a change back, by another one."""
        self._desk.check(sent.key)
        self._desk.marks.undo(int(sent.number), self._desk.who(request))
        address = f"/candidates/{quote(sent.candidate, safe='')}/history"
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    def name(self, sent: Annotated[ReviewerForm, Form()]) -> Response:
        """Remember under which name this browser marks."""
        self._desk.check(sent.key)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        self._desk.remember(response, sent.name)
        return response


def _worth(sent: MarkForm, result: Result) -> tuple[int, int | None]:
    """How many points can be given, and how many the graders gave; 404 for what is not there."""
    graded = next((g for g in result.graded if g.exercise == sent.exercise), None)
    if sent.kind is Kind.COMMENT and not sent.item and (graded or not sent.exercise):
        return 0, None
    if sent.kind is Kind.ANSWER and graded:
        points = {str(point.number) for point in views.material(sent.exercise).rubric}
        if sent.item in points:
            return max(MARKS), None
    if sent.kind is Kind.OVERRIDE and graded and graded.scorecard:
        for criterion in graded.scorecard.criteria:
            if criterion.id == sent.item:
                return criterion.points, criterion.earned
    raise HTTPException(
        HTTPStatus.NOT_FOUND, "What this mark is about is not there any more. Reload the page."
    )


def _back(sent: MarkForm) -> Response:
    """To the very place on the page where the form stood."""
    query = Query.of(dict(parse_qsl(sent.query.removeprefix("?"), max_num_fields=20)))
    place = f"/candidates/{quote(sent.candidate, safe='')}{query.string()}#{sent.back}"
    return RedirectResponse(place.removesuffix("#"), HTTPStatus.SEE_OTHER)
