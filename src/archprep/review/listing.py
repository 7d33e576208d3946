"""The list of candidates: which of them, in which order, on which page."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from archprep.core.sanitize import sanitize
from archprep.review import results_reader
from archprep.review.results_reader import Row

KINDS: tuple[str, ...] = (
    results_reader.KINDS
)  # the flags to choose from, in the order they are offered
PAGE = 200  # rows

_LONGEST = 200  # characters of a text that is looked for
_PAGE = re.compile(r"[1-9][0-9]{0,5}")
_EXERCISE = re.compile(r"q[1-9][0-9]{0,5}")

Finals = Mapping[str, int | None]
Key = Callable[[Row, Finals], Any]


def _share(row: Row, finals: Finals) -> float | None:
    points, most = finals.get(row.slug), row.result.max_score
    return None if points is None or not most else -points / most


def _name(row: Row, _: Finals) -> tuple[str, str]:
    return row.result.received.name.casefold(), row.slug


def _received(row: Row, _: Finals) -> str | None:
    return row.result.received.received_at or None


def _time(row: Row, _: Finals) -> float | None:
    return -row.seconds if any(graded.scorecard for graded in row.result.graded) else None


def _flags(row: Row, _: Finals) -> tuple[int, int]:
    return -len(row.kinds), -len(row.result.received.flags)


def _points(exercise: str) -> Key:
    def key(row: Row, _: Finals) -> int | None:
        cards = (g.scorecard for g in row.result.graded if g.exercise == exercise)
        return next((-card.score for card in cards if card), None)

    return key


# The best, the longest and the most flags come first. What has no key comes last, either way.
SORTS: dict[str, Key] = {
    "score": _share,
    "name": _name,
    "received": _received,
    "time": _time,
    "flags": _flags,
}


@dataclass(frozen=True, slots=True)
class Query:
    """What the list was asked for. `sort` may also be the id of an exercise."""

    sort: str = "score"
    reverse: bool = False
    text: str = ""
    kind: str = ""
    marked: str = ""  # "yes", "no": whether somebody has marked; "": either
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """From the parameters of an address: whatever is odd in them becomes the default."""
        sort, page = (parameters.get(name, "") for name in ("sort", "page"))
        return cls(
            sort=sort if sort in SORTS or _EXERCISE.fullmatch(sort) else "score",
            reverse=parameters.get("reverse") == "1",
            text=" ".join(sanitize(parameters.get("text", "")[:_LONGEST]).split()),
            kind=_one_of(KINDS, parameters.get("kind")),
            marked=_one_of(("yes", "no"), parameters.get("marked")),
            page=int(page) if _PAGE.fullmatch(page) else 1,
        )

    def string(self, **changes: object) -> str:
        """The parameters again, with changes: "?sort=name"; "" where all of them are defaults.

        Another choice begins on its first page.
        """
        chosen: dict[str, Any] = {"page": 1} | changes if changes else {}
        asked = asdict(replace(self, **chosen))
        given = {f.name: asked[f.name] for f in fields(self) if asked[f.name] != f.default}
        flat = {name: 1 if value is True else value for name, value in given.items()}
        return f"?{urlencode(flat)}" if flat else ""


def _one_of(choices: tuple[str, ...], value: str | None) -> str:
    return value if value in choices else ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list; `total` counts the candidates on all `pages`."""

    rows: tuple[Row, ...]
    total: int
    page: int
    pages: int


def listed(rows: Sequence[Row], query: Query, finals: Finals, marked: Container[str]) -> Listed:
    """The page that was asked for, or the last one.

    `finals` are the points that count, `marked` the candidates whom somebody has marked.
    """
    found = _ordered(rows, query, finals, marked)
    pages = max(1, -(-len(found) // PAGE))
    page = min(query.page, pages)
    return Listed(tuple(found[(page - 1) * PAGE : page * PAGE]), len(found), page, pages)


def neighbours(
    rows: Sequence[Row], query: Query, finals: Finals, marked: Container[str], slug: str
) -> tuple[Row | None, Row | None, int, int]:
    """Who stands before and after a candidate, the place from 1, and of how many, on all pages.

    Whom the filter leaves out has place 0, between those who stood around them: going through the
    candidates not yet marked goes on after a mark.
    """
    found = _ordered(rows, query, finals, marked)
    total = len(found)
    is_listed = any(row.slug == slug for row in found)
    if not is_listed:
        unfiltered = replace(query, text="", kind="", marked="")
        found += (row for row in rows if row.slug == slug)
        found = _ordered(found, unfiltered, finals, marked)
    place = next((n for n, row in enumerate(found, 1) if row.slug == slug), 0)
    before = found[place - 2] if place > 1 else None
    after = found[place] if 0 < place < len(found) else None
    return before, after, place if is_listed else 0, total


# ------------------------------------------------------------------ which, in which order


def _ordered(
    rows: Sequence[Row], query: Query, finals: Finals, marked: Container[str]
) -> list[Row]:
    words = query.text.casefold().split()
    found = [row for row in rows if _fits(row, query, words, marked)]
    key = SORTS.get(query.sort) or _points(query.sort)
    found.sort(key=lambda row: _name(row, finals))
    keys = [(key(row, finals), row) for row in found]
    known = [pair for pair in keys if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=query.reverse)
    return [row for _, row in known] + [row for value, row in keys if value is None]


def _fits(row: Row, query: Query, words: Sequence[str], marked: Container[str]) -> bool:
    if query.kind and query.kind not in row.kinds:
        return False
    if query.marked and (row.slug in marked) is not (query.marked == "yes"):
        return False
    return not words or _says(row, words)


def _says(row: Row, words: Sequence[str]) -> bool:
    received = row.result.received
    problems = (graded.problem for graded in row.result.graded)
    texts = (received.name, row.slug, received.source, *received.flags, received.problem, *problems)
    text = "\n".join(text for text in texts if text).casefold()
    return all(word in text for word in words)
