"""Routes that change something: saving and undoing marks, and the reviewer's name.

A mark that cannot be saved is shown again with everything that was typed.
"""

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
from archprep.review.forms import MarkForm, ReviewerForm, UndoForm
from archprep.review.listing import ListQuery
from archprep.review.marks import SCALE, MarkKind, StaleMarkError
from archprep.review.review_context import describe_target
from archprep.review.submitted_files import material

if TYPE_CHECKING:
    from archprep.interview.model import Result
    from archprep.review.review_context import ReviewContext

_SCRIPT_HEADER = "x-requested-with"  # forms of other sites cannot send it


class MarkRoutes:
    """Handles submitted forms."""

    def __init__(self, context: ReviewContext) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        for path, endpoint in (
            ("/marks", self.save),
            ("/undo", self.undo),
            ("/reviewer", self.set_reviewer),
        ):
            router.add_api_route(path, endpoint, methods=["POST"], response_model=None)
        return router

    def save(self, form: Annotated[MarkForm, Form()], request: Request) -> Response:
        """Save a mark. A script gets JSON, a plain form a redirect."""
        self._context.check_form_key(form.key)
        result = self._context.result(form.candidate)
        max_points, automatic = _limits(form, result)
        try:
            form.check_submission(result.received.digest)
            points, text = form.content(max_points)
            mark = self._context.marks.save(
                form.target,
                points=points,
                text=text,
                version=form.version,
                digest=result.received.digest,
                automatic=automatic,
                who=self._context.reviewer(request),
            )
        except ArchprepError as error:
            return self._not_saved(request, form, error, max_points, result)
        if _SCRIPT_HEADER in request.headers:
            message = f"Saved by {sanitize(mark.who)}"
            return JSONResponse({"version": mark.version, "message": message})
        return _redirect_back(form)

    def _not_saved(
        self,
        request: Request,
        form: MarkForm,
        error: ArchprepError,
        max_points: int,
        result: Result,
    ) -> Response:
        is_stale = isinstance(error, StaleMarkError)
        return self._context.page(
            request,
            "review/not_saved.html.j2",
            HTTPStatus.CONFLICT if is_stale else HTTPStatus.UNPROCESSABLE_ENTITY,
            error=error,
            is_stale=is_stale,
            current=error.current if isinstance(error, StaleMarkError) else None,
            form=form,
            max_points=max_points,
            target=describe_target(form.target, result),
            digest=result.received.digest,
            name=sanitize(result.received.name, 200),
        )

    def undo(self, form: Annotated[UndoForm, Form()], request: Request) -> Response:
        """Undo the latest change of a mark."""
        self._context.check_form_key(form.key)
        self._context.marks.undo(int(form.number), self._context.reviewer(request))
        url = f"/candidates/{quote(form.candidate, safe='')}/history"
        return RedirectResponse(url, HTTPStatus.SEE_OTHER)

    def set_reviewer(self, form: Annotated[ReviewerForm, Form()]) -> Response:
        """Change the name under which this browser saves marks."""
        self._context.check_form_key(form.key)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        self._context.set_reviewer(response, form.name)
        return response


def _limits(form: MarkForm, result: Result) -> tuple[int, int | None]:
    """The maximum points and the automatic ones; 404 if the form's target does not exist."""
    graded = next((g for g in result.graded if g.exercise == form.exercise), None)
    if form.kind is MarkKind.COMMENT and not form.item and (graded or not form.exercise):
        return 0, None
    if form.kind is MarkKind.ANSWER and graded:
        items = {str(point.number) for point in material(form.exercise).rubric}
        if form.item in items:
            return max(SCALE), None
    if form.kind is MarkKind.OVERRIDE and graded and graded.scorecard:
        for criterion in graded.scorecard.criteria:
            if criterion.id == form.item:
                return criterion.points, criterion.earned
    raise HTTPException(
        HTTPStatus.NOT_FOUND, "What this mark is about no longer exists. Reload the page."
    )


def _redirect_back(form: MarkForm) -> Response:
    """Return to the place of the form on its page."""
    query = ListQuery.parse(dict(parse_qsl(form.query.removeprefix("?"), max_num_fields=20)))
    url = f"/candidates/{quote(form.candidate, safe='')}{query.string()}#{form.back}"
    return RedirectResponse(url.removesuffix("#"), HTTPStatus.SEE_OTHER)
