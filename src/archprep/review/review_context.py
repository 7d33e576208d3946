"""What all routes of a review share: results, marks, the reviewer's name and page rendering."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from archprep.core.sanitize import sanitize
from archprep.interview.reports import pages
from archprep.report import html
from archprep.review.exercise_views import LatestMarks, exercise_views
from archprep.review.final_scores import FinalScorecard, final_points, final_scorecard
from archprep.review.marks import MAX_NAME, SCALE, MarkKind, Target
from archprep.review.submitted_files import material

if TYPE_CHECKING:
    from starlette.requests import Request

    from archprep.interview.model import Graded, Result
    from archprep.review.access import Access
    from archprep.review.candidate_rows import CandidateRow
    from archprep.review.mark_store import MarkStore
    from archprep.review.marks import Mark
    from archprep.review.results_reader import ResultsReader

_MAX_CHANGES = 1_000_000  # of one candidate's marks


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole batch at one moment. `final_points` has None where there is no score."""

    rows: tuple[CandidateRow, ...]
    mark_numbers: list[int]
    scorecards: dict[str, FinalScorecard]  # of candidates with marks
    mark_counts: dict[str, int]  # marks that count, of candidates that have some
    final_points: dict[str, int | None]


def _take_snapshot(rows: tuple[CandidateRow, ...], marks: list[Mark]) -> Snapshot:
    by_candidate: dict[str, list[Mark]] = {}
    for mark in marks:
        by_candidate.setdefault(mark.target.candidate, []).append(mark)
    marked = [row for row in rows if row.slug in by_candidate]
    scorecards = {row.slug: final_scorecard(row.result, by_candidate[row.slug]) for row in marked}
    counts = {slug: len(by_candidate[slug]) - len(s.outdated) for slug, s in scorecards.items()}
    return Snapshot(
        rows=rows,
        mark_numbers=[mark.number for mark in marks],
        scorecards=scorecards,
        mark_counts={slug: number for slug, number in counts.items() if number},
        final_points={r.slug: final_points(r.result, by_candidate.get(r.slug, ())) for r in rows},
    )


class ReviewContext:
    """One results folder under review."""

    def __init__(
        self, reader: ResultsReader, marks: MarkStore, access: Access, reviewer: str
    ) -> None:
        self.reader = reader
        self.marks = marks
        self._access = access
        self._default_reviewer = reviewer
        self._name_cookie = f"{access.cookie}-name"
        self._snapshot: Snapshot | None = None  # cached: it takes longer than a page

    # -------------------------------------------------------------- the reviewer

    def check_form_key(self, key: str) -> None:
        """Reject forms of other sites, which cannot know the key."""
        if not self._access.is_form_key(key):
            raise HTTPException(
                HTTPStatus.FORBIDDEN,
                "This form was loaded from an earlier review. Reload the page and try again.",
            )

    def reviewer(self, request: Request) -> str:
        """The name under which this browser saves marks."""
        name = unquote(request.cookies.get(self._name_cookie, ""), errors="replace")
        return _one_line(name) or self._default_reviewer

    def set_reviewer(self, response: Response, name: str) -> None:
        """Let this browser save marks under another name."""
        value = quote(_one_line(name))
        response.set_cookie(self._name_cookie, value, httponly=True, samesite="strict")

    # -------------------------------------------------------------- results and marks

    def result(self, slug: str) -> Result:
        """Everything about a candidate; 404 if there is no such candidate."""
        try:
            return self.reader.result(slug)
        except KeyError:
            raise HTTPException(HTTPStatus.NOT_FOUND) from None

    def snapshot(self) -> Snapshot:
        """The candidates, their current marks and their final points."""
        rows, marks = self.reader.rows(), self.marks.current()
        numbers = [mark.number for mark in marks]
        cached = self._snapshot
        if cached is None or cached.rows is not rows or cached.mark_numbers != numbers:
            cached = self._snapshot = _take_snapshot(rows, marks)
        return cached

    def history(self, slug: str) -> list[Mark]:
        """All versions of all marks of a candidate, newest first."""
        return self.marks.history(slug, limit=_MAX_CHANGES)

    def candidate_values(self, slug: str) -> dict[str, Any]:
        """Template values for the pages of a candidate."""
        history = self.history(slug)
        return self._values(self.result(slug), history) | {"changes": len(history)}

    def earlier_values(self, slug: str, number: int) -> dict[str, Any]:
        """The same for an earlier grading. Marks are about the latest one only."""
        try:
            return self._values(self.reader.one_earlier(slug, number), [])
        except KeyError:
            raise HTTPException(HTTPStatus.NOT_FOUND) from None

    def _values(self, result: Result, history: list[Mark]) -> dict[str, Any]:
        marks = LatestMarks(history)
        final = final_scorecard(result, marks.current())
        received = result.received
        return {
            "slug": received.slug,
            "name": sanitize(received.name, 200),
            "result": result,
            "received": received,
            "received_at": pages.readable_time(received.received_at),
            "flags": pages.remarks(received),
            "kit": pages.kit_summary(received),
            "reported": pages.reported_values(received),
            "final": final,
            "exercises": exercise_views(result, final, self.reader.batch, marks),
            "comment": marks.get(Target(received.slug, MarkKind.COMMENT)),
            **pages.batch_context(self.reader.batch),
        }

    # -------------------------------------------------------------- pages

    def page(
        self, request: Request, template: str, status: int = HTTPStatus.OK, **values: Any
    ) -> Response:
        """Render a template as a response."""
        text = (
            html.environment()
            .get_template(template)
            .render(
                key=self._access.form_key,
                reviewer=self.reviewer(request),
                read_only_reason=self.marks.read_only_reason,
                scale=SCALE,
                when=pages.readable_time,
                path=str(request.url.path),
                **values,
            )
        )
        # A damaged file may contain a lone surrogate, which cannot be encoded.
        return HTMLResponse(text.encode("utf-8", "replace"), status)


def _one_line(text: str) -> str:
    return " ".join(sanitize(text, MAX_NAME).split())


def download(text: str, name: str, media_type: str) -> Response:
    """A file that the browser saves."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=media_type, headers=headers)


def describe_target(target: Target, result: Result) -> str:
    """What a mark is about, in words; `result` is that of its candidate."""
    if not target.exercise:
        return "The candidate as a whole"
    exercise = sanitize(target.exercise, 40)
    if target.kind is MarkKind.COMMENT:
        return f"{exercise}: comment"
    if target.kind is MarkKind.ANSWER:
        rubric = {str(p.number): p.title for p in material(target.exercise).rubric}
        return f"{exercise}, discussion: {rubric.get(target.item, sanitize(target.item, 40))}"
    graded = (g for g in result.graded if g.exercise == target.exercise)
    return f"{exercise}: {_criterion_title(next(graded, None), target.item)}"


def _criterion_title(graded: Graded | None, criterion: str) -> str:
    criteria = graded.scorecard.criteria if graded and graded.scorecard else ()
    title = next((c.title for c in criteria if c.id == criterion), criterion)
    return sanitize(title, 300)
