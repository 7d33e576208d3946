"""What all pages of a review share: the results, the marks, who is asking, and the templates."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from archprep.clean import clean
from archprep.interview import pages
from archprep.report import html
from archprep.review import final, views
from archprep.review.marks import Kind, Target

if TYPE_CHECKING:
    from starlette.requests import Request

    from archprep.interview.model import Graded, Result
    from archprep.review.marks import Mark, Marks
    from archprep.review.reading import Reading
    from archprep.review.security import Access

_NAME = 80  # characters of a reviewer's name
_ALL = 1_000_000  # changes of one candidate's marks


class Desk:
    """One results folder under review."""

    def __init__(self, reading: Reading, marks: Marks, access: Access, reviewer: str) -> None:
        self.reading = reading
        self.marks = marks
        self._access = access
        self._reviewer = reviewer
        self._cookie = f"{access.cookie}-name"

    # -- who is asking -------------------------------------------------------------------------

    def check(self, key: str) -> None:
        """Refuse a form that is not ours: another site's cannot know the key."""
        if not self._access.is_form_key(key):
            raise HTTPException(
                HTTPStatus.FORBIDDEN, "This form belongs to an earlier review. Reload its page."
            )

    def who(self, request: Request) -> str:
        """The name under which this browser marks."""
        name = unquote(request.cookies.get(self._cookie, ""), errors="replace")
        return _name(name) or self._reviewer

    def remember(self, response: Response, name: str) -> None:
        """Let this browser mark under a name."""
        response.set_cookie(self._cookie, quote(_name(name)), httponly=True, samesite="strict")

    # -- what is known -------------------------------------------------------------------------

    def result(self, slug: str) -> Result:
        """Everything about a candidate; 404 when there is none of that name."""
        try:
            return self.reading.result(slug)
        except KeyError:
            raise HTTPException(HTTPStatus.NOT_FOUND) from None

    def marked(self) -> dict[str, list[Mark]]:
        """The marks that stand, by candidate."""
        found: dict[str, list[Mark]] = {}
        for mark in self.marks.current():
            found.setdefault(mark.target.candidate, []).append(mark)
        return found

    def about(self, slug: str) -> dict[str, Any]:
        """What the pages of a candidate show."""
        result, history = self.result(slug), self.marks.history(slug, limit=_ALL)
        standing = views.Standing(history)
        judged = final.final(result, standing.all())
        received = result.received
        return {
            "slug": slug,
            "name": clean(received.name, 200),
            "result": result,
            "received": received,
            "received_at": pages.when(received.received_at),
            "flags": pages.sentences(received),
            "kit": pages.kit(received),
            "reported": pages.reported(received),
            "final": judged,
            "changes": len(history),
            "exercises": views.parts(result, judged, self.reading.batch, standing),
            "comment": standing.of(Target(slug, Kind.COMMENT)),
            **pages.about(self.reading.batch),
        }

    def subject(self, target: Target) -> str:
        """What a mark is about, in words."""
        if not target.exercise:
            return "The candidate as a whole"
        exercise = clean(target.exercise, 40)
        if target.kind is Kind.COMMENT:
            return f"{exercise}: comment"
        if target.kind is Kind.ANSWER:
            rubric = {str(p.number): p.title for p in views.material(target.exercise).rubric}
            return f"{exercise}, discussion: {rubric.get(target.item, clean(target.item, 40))}"
        graded = (g for g in self.result(target.candidate).graded if g.exercise == target.exercise)
        return f"{exercise}: {_title(next(graded, None), target.item)}"

    # -- pages ---------------------------------------------------------------------------------

    def page(
        self, request: Request, template: str, status: int = HTTPStatus.OK, **values: Any
    ) -> Response:
        """A page made of a template."""
        text = (
            html.environment()
            .get_template(template)
            .render(
                key=self._access.form_key,
                who=self.who(request),
                why_not=self.marks.why_not,
                being_graded=self.reading.is_being_graded(),
                scale=final.MARKS,
                when=pages.when,
                here=str(request.url.path),
                **values,
            )
        )
        return HTMLResponse(text, status)


def _name(text: str) -> str:
    return " ".join(clean(text, _NAME).split())


def _title(graded: Graded | None, criterion: str) -> str:
    criteria = graded.scorecard.criteria if graded and graded.scorecard else ()
    found = next((c.title for c in criteria if c.id == criterion), criterion)
    return clean(found, 300)
