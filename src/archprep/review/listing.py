"""The list of candidates: filtering, sorting and paging."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from archprep.core.sanitize import sanitize
from archprep.review.candidate_rows import LABELS, CandidateRow

PAGE_SIZE = 200

_MAX_TEXT = 200  # characters to search for
_PAGE = re.compile(r"[1-9][0-9]{0,5}")
_EXERCISE = re.compile(r"q[1-9][0-9]{0,5}")

FinalPoints = Mapping[str, int | None]  # by slug
SortKey = Callable[[CandidateRow, FinalPoints], Any]


def _share(row: CandidateRow, final_points: FinalPoints) -> float | None:
    points, max_score = final_points.get(row.slug), row.result.max_score
    return None if points is None or not max_score else -points / max_score


def _name(row: CandidateRow, _: FinalPoints) -> tuple[str, str]:
    return row.result.received.name.casefold(), row.slug


def _received(row: CandidateRow, _: FinalPoints) -> str | None:
    return row.result.received.received_at or None


def _time(row: CandidateRow, _: FinalPoints) -> float | None:
    return -row.seconds if any(graded.scorecard for graded in row.result.graded) else None


def _flags(row: CandidateRow, _: FinalPoints) -> tuple[int, int]:
    return -len(row.labels), -len(row.result.received.flags)


def _exercise_points(exercise: str) -> SortKey:
    def key(row: CandidateRow, _: FinalPoints) -> int | None:
        cards = (g.scorecard for g in row.result.graded if g.exercise == exercise)
        return next((-card.percent for card in cards if card), None)

    return key


# Highest scores, longest times and most flags come first. Rows without a key always come last.
SORT_KEYS: dict[str, SortKey] = {
    "score": _share,
    "name": _name,
    "received": _received,
    "time": _time,
    "flags": _flags,
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parameters of the list's URL. `sort` may also be the id of an exercise."""

    sort: str = "score"
    reverse: bool = False
    text: str = ""
    label: str = ""
    marked: str = ""  # "yes", "no" or "" for either
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> ListQuery:
        """Invalid parameters get their defaults."""
        sort, page = (parameters.get(name, "") for name in ("sort", "page"))
        return cls(
            sort=sort if sort in SORT_KEYS or _EXERCISE.fullmatch(sort) else "score",
            reverse=parameters.get("reverse") == "1",
            text=" ".join(sanitize(parameters.get("text", "")[:_MAX_TEXT]).split()),
            label=_one_of(LABELS, parameters.get("label")),
            marked=_one_of(("yes", "no"), parameters.get("marked")),
            page=int(page) if _PAGE.fullmatch(page) else 1,
        )

    def string(self, **changes: object) -> str:
        """The query string with changes, without defaults: "?sort=name" or "".

        With changes it leads to the first page.
        """
        changed: dict[str, Any] = {"page": 1} | changes if changes else {}
        values = asdict(replace(self, **changed))
        given = {f.name: values[f.name] for f in fields(self) if values[f.name] != f.default}
        flat = {name: 1 if value is True else value for name, value in given.items()}
        return f"?{urlencode(flat)}" if flat else ""


def _one_of(choices: tuple[str, ...], value: str | None) -> str:
    return value if value in choices else ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list; `total` counts the candidates on all `pages`."""

    rows: tuple[CandidateRow, ...]
    total: int
    page: int
    pages: int


def list_page(
    rows: Sequence[CandidateRow],
    query: ListQuery,
    final_points: FinalPoints,
    marked: Container[str],
) -> ListPage:
    """The page that the query names, or the last one. `marked` are the candidates with marks."""
    found = _filter_and_sort(rows, query, final_points, marked)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(query.page, pages)
    start = (page - 1) * PAGE_SIZE
    return ListPage(tuple(found[start : start + PAGE_SIZE]), len(found), page, pages)


class Neighbours(NamedTuple):
    """The candidates before and after one, on all pages of the list.

    `place` counts from 1; 0 means that the filter excludes the candidate.
    """

    before: CandidateRow | None
    after: CandidateRow | None
    place: int
    total: int


def neighbours(
    rows: Sequence[CandidateRow],
    query: ListQuery,
    final_points: FinalPoints,
    marked: Container[str],
    slug: str,
) -> Neighbours:
    """The neighbours of a candidate.

    An excluded candidate keeps its neighbours, so that going through unmarked candidates can
    continue after saving a mark.
    """
    found = _filter_and_sort(rows, query, final_points, marked)
    total = len(found)
    is_listed = any(row.slug == slug for row in found)
    if not is_listed:
        unfiltered = replace(query, text="", label="", marked="")
        found += (row for row in rows if row.slug == slug)
        found = _filter_and_sort(found, unfiltered, final_points, marked)
    place = next((n for n, row in enumerate(found, 1) if row.slug == slug), 0)
    return Neighbours(
        before=found[place - 2] if place > 1 else None,
        after=found[place] if 0 < place < len(found) else None,
        place=place if is_listed else 0,
        total=total,
    )


# ------------------------------------------------------------------ filter and sort


def _filter_and_sort(
    rows: Sequence[CandidateRow],
    query: ListQuery,
    final_points: FinalPoints,
    marked: Container[str],
) -> list[CandidateRow]:
    words = query.text.casefold().split()
    found = [row for row in rows if _matches(row, query, words, marked)]
    key = SORT_KEYS.get(query.sort) or _exercise_points(query.sort)
    found.sort(key=lambda row: _name(row, final_points))
    keys = [(key(row, final_points), row) for row in found]
    known = [pair for pair in keys if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=query.reverse)
    return [row for _, row in known] + [row for value, row in keys if value is None]


def _matches(
    row: CandidateRow, query: ListQuery, words: Sequence[str], marked: Container[str]
) -> bool:
    if query.label and query.label not in row.labels:
        return False
    if query.marked and (row.slug in marked) is not (query.marked == "yes"):
        return False
    return not words or _contains(row, words)


def _contains(row: CandidateRow, words: Sequence[str]) -> bool:
    received = row.result.received
    problems = (graded.problem for graded in row.result.graded)
    texts = (received.name, row.slug, received.source, *received.flags, received.problem, *problems)
    text = "\n".join(text for text in texts if text).casefold()
    return all(word in text for word in words)
