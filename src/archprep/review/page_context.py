"""What all pages of a review share: the results, the marks, who is asking, and the templates."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from archprep.core.sanitize import sanitize
from archprep.interview import pages
from archprep.report import html
from archprep.review import final, views
from archprep.review.marks import Kind, Target

if TYPE_CHECKING:
    from starlette.requests import Request

    from archprep.interview.model import Graded, Result
    from archprep.review.marks import Mark, Marks
    from archprep.review.results_reader import Reading, Row
    from archprep.review.security import Access

_NAME = 80  # characters of a reviewer's name
_ALL = 1_000_000  # changes of one candidate's marks


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole batch at one moment. `finals` has None where there is no score."""

    rows: tuple[Row, ...]
    numbers: list[int]  # of the marks that stand
    judged: dict[str, final.Final]  # whoever has marks
    counting: dict[str, int]  # how many marks of a candidate count, where some do
    finals: dict[str, int | None]


def _snapshot(rows: tuple[Row, ...], marks: list[Mark]) -> Snapshot:
    marked: dict[str, list[Mark]] = {}
    for mark in marks:
        marked.setdefault(mark.target.candidate, []).append(mark)
    known = [row for row in rows if row.slug in marked]
    judged = {row.slug: final.final(row.result, marked[row.slug]) for row in known}
    counting = {slug: len(marked[slug]) - len(one.outdated) for slug, one in judged.items()}
    return Snapshot(
        rows=rows,
        numbers=[mark.number for mark in marks],
        judged=judged,
        counting={slug: number for slug, number in counting.items() if number},
        finals={row.slug: final.points(row.result, marked.get(row.slug, ())) for row in rows},
    )


class Desk:
    """One results folder under review."""

    def __init__(self, reading: Reading, marks: Marks, access: Access, reviewer: str) -> None:
        self.reading = reading
        self.marks = marks
        self._access = access
        self._reviewer = reviewer
        self._cookie = f"{access.cookie}-name"
        self._snapshot: Snapshot | None = None  # kept, since it takes longer than a page

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

    def snapshot(self) -> Snapshot:
        """The candidates, the marks that stand, and the points after overrides."""
        rows, marks = self.reading.rows(), self.marks.current()
        numbers = [mark.number for mark in marks]
        known = self._snapshot
        if known is None or known.rows is not rows or known.numbers != numbers:
            known = self._snapshot = _snapshot(rows, marks)
        return known

    def changes(self, slug: str) -> list[Mark]:
        """Every version of every mark of a candidate, the newest first."""
        return self.marks.history(slug, limit=_ALL)

    def about(self, slug: str) -> dict[str, Any]:
        """What the pages of a candidate show."""
        history = self.changes(slug)
        return self._shown(self.result(slug), history) | {"changes": len(history)}

    def about_earlier(self, slug: str, number: int) -> dict[str, Any]:
        """The same of a grading that was put aside; marks are about the last one only."""
        try:
            return self._shown(self.reading.put_aside(slug, number), [])
        except KeyError:
            raise HTTPException(HTTPStatus.NOT_FOUND) from None

    def _shown(self, result: Result, history: list[Mark]) -> dict[str, Any]:
        newest = views.Newest(history)
        judged = final.final(result, newest.all())
        received = result.received
        slug = received.slug
        return {
            "slug": slug,
            "name": sanitize(received.name, 200),
            "result": result,
            "received": received,
            "received_at": pages.when(received.received_at),
            "flags": pages.sentences(received),
            "kit": pages.kit(received),
            "reported": pages.reported(received),
            "final": judged,
            "exercises": views.parts(result, judged, self.reading.batch, newest),
            "comment": newest.of(Target(slug, Kind.COMMENT)),
            **pages.about(self.reading.batch),
        }

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
                scale=final.MARKS,
                when=pages.when,
                here=str(request.url.path),
                **values,
            )
        )
        # A damaged file may hold half of a character, which cannot be sent.
        return HTMLResponse(text.encode("utf-8", "replace"), status)


def _name(text: str) -> str:
    return " ".join(sanitize(text, _NAME).split())


def subject(target: Target, result: Result) -> str:
    """What a mark is about, in words; `result` is that of its candidate."""
    if not target.exercise:
        return "The candidate as a whole"
    exercise = sanitize(target.exercise, 40)
    if target.kind is Kind.COMMENT:
        return f"{exercise}: comment"
    if target.kind is Kind.ANSWER:
        rubric = {str(p.number): p.title for p in views.material(target.exercise).rubric}
        return f"{exercise}, discussion: {rubric.get(target.item, sanitize(target.item, 40))}"
    graded = (g for g in result.graded if g.exercise == target.exercise)
    return f"{exercise}: {_title(next(graded, None), target.item)}"


def _title(graded: Graded | None, criterion: str) -> str:
    criteria = graded.scorecard.criteria if graded and graded.scorecard else ()
    found = next((c.title for c in criteria if c.id == criterion), criterion)
    return sanitize(found, 300)
