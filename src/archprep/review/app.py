"""The web application of a review: its routes, and errors as pages.

Which requests reach it is decided by `access_middleware`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from archprep.core import terminal
from archprep.core.errors import ArchprepError, UsageError
from archprep.review.batch_routes import BatchRoutes
from archprep.review.candidate_routes import CandidateRoutes
from archprep.review.comparison_routes import ComparisonRoutes
from archprep.review.mark_routes import MarkRoutes
from archprep.review.marks import StaleMarkError
from archprep.review.review_context import ReviewContext

if TYPE_CHECKING:
    from fastapi.responses import Response
    from starlette.requests import Request

    from archprep.review.access import Access
    from archprep.review.mark_store import MarkStore
    from archprep.review.results_reader import ResultsReader

_INVALID_FORM = "The form is incomplete or invalid. Go back, reload the page and try again."
_NOT_FOUND = "This page does not exist. All candidates are in the list."
_INTERNAL_ERROR = "archprep itself failed. See the terminal in which it runs for details."


def create_app(reader: ResultsReader, marks: MarkStore, access: Access, reviewer: str) -> FastAPI:
    """The application without its access middleware."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    context = ReviewContext(reader, marks, access, reviewer)
    for routes in (BatchRoutes, CandidateRoutes, ComparisonRoutes, MarkRoutes):
        app.include_router(routes(context).router())

    def show_error(request: Request, error: Exception) -> Response:
        status, message = _status_and_message(error)
        heading = HTTPStatus(status).phrase.capitalize()
        return context.page(
            request, "review/error.html.j2", status, heading=heading, message=message
        )

    for kind in (ArchprepError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, show_error)
    return app


def _status_and_message(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        has_detail = error.detail != HTTPStatus(error.status_code).phrase
        return error.status_code, error.detail if has_detail and error.detail else _NOT_FOUND
    if isinstance(error, RequestValidationError):
        return HTTPStatus.BAD_REQUEST, _INVALID_FORM
    if isinstance(error, ArchprepError):
        return _status(error), f"{error.message} {error.tip or ''}".strip()
    terminal.unexpected(error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, _INTERNAL_ERROR


def _status(error: ArchprepError) -> HTTPStatus:
    if isinstance(error, StaleMarkError):
        return HTTPStatus.CONFLICT
    is_usage_error = isinstance(error, UsageError)
    return HTTPStatus.BAD_REQUEST if is_usage_error else HTTPStatus.INTERNAL_SERVER_ERROR
