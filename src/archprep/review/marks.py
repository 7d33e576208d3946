"""The marks of reviewers: saved at once, never overwritten, undone by adding.

Each change of a mark is a row of its own with the next version. Whoever saves says which version
they have seen: two reviewers, in one process or in two, cannot both write the next one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from archprep.core.errors import ArchprepError, UsageError
from archprep.core.sanitize import sanitize
from archprep.review.markfile import MarkFile, ReadOnly, Row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FILE = "review.sqlite3"
LONGEST = 20_000  # characters of a text
MOST = 4  # points of an answer

__all__ = ["FILE", "LONGEST", "MOST", "Kind", "Mark", "Marks", "ReadOnly", "Stale", "Target"]

_LONGEST_NAME = 80  # of a reviewer
_LONGEST_KEY = 300
_MOST_POINTS = 10_000  # of a criterion; beyond that something is wrong
_LARGEST = 2**63 - 1  # number that SQLite can hold


# ------------------------------------------------------------------ the values


class Kind(StrEnum):
    """What a mark is about."""

    OVERRIDE = "override"
    ANSWER = "answer"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Target:
    """The one thing that a mark is about.

    `item` is the criterion of an override, or the number of an answer's point in the rubric. A
    comment has none; without an exercise it is about the candidate as a whole.
    """

    candidate: str
    kind: Kind
    exercise: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """One version of a mark. One that was taken back has neither points nor text.

    `digest` is that of what the candidate had handed in; `automatic` are the points that the
    criterion had by itself.
    """

    number: int  # 0: not saved, since there was nothing to save
    target: Target
    version: int
    points: int | None
    text: str
    digest: str
    automatic: int | None
    who: str
    at: str  # ISO 8601, UTC
    undoes: int | None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing, or nothing any more."""
        return self.points is None and not self.text


class Stale(ArchprepError):  # noqa: N818 - it says what became of the page
    """Somebody else was faster and nothing was saved. `current` is what stands now."""

    def __init__(self, current: Mark | None) -> None:
        what = f"{current.who} has changed this" if current else "This has changed"
        super().__init__(
            f"{what} since you opened the page; yours was not saved.",
            tip="Look at what stands there now, and save again what you still want.",
        )
        self.current = current


# ------------------------------------------------------------------ saving and reading


class Marks:
    """The marks in a folder of results; any number of threads may use it."""

    def __init__(self, file: MarkFile) -> None:
        self._file = file
        self._one_reads = threading.Lock()
        self._standing: dict[str, dict[Target, Mark]] = {}  # by candidate
        self._seen = 0  # number up to which rows are in it
        self._seen_in: tuple[int, int] | None = None

    @classmethod
    def open(cls, root: Path) -> Marks:
        """The marks in `root`. UsageError when their file is newer, damaged or somebody else's."""
        return cls(MarkFile(root / FILE))

    @property
    def why_not(self) -> str:
        """Why no marks can be saved; empty when they can."""
        return self._file.why_not

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def current(self, candidate: str | None = None) -> list[Mark]:
        """What stands, about one candidate or about all, in the order of saving."""
        with self._one_reads:
            self._read_on()
            of_one = self._standing.get(candidate or "", {})
            groups = [of_one] if candidate is not None else [*self._standing.values()]
            found = [mark for group in groups for mark in group.values() if not mark.is_empty]
        return sorted(found, key=lambda mark: mark.number)

    def history(self, candidate: str, limit: int = 200) -> list[Mark]:
        """All that was ever saved about a candidate, newest first."""
        if not _is_plain(candidate):
            return []
        newest = select(Row).where(Row.candidate == candidate).order_by(Row.number.desc())
        with self._file.reading() as session:
            rows = session.scalars(newest.limit(min(max(limit, 0), _LARGEST))) if session else ()
            return [_mark(row) for row in rows]

    def standing(self, target: Target) -> Mark | None:
        """The newest version of one mark, be it taken back or not."""
        if not all(map(_is_plain, (target.candidate, target.exercise, target.item))):
            return None
        with self._file.reading() as session:
            return _newest(session, target) if session else None

    def save(
        self,
        target: Target,
        *,
        points: int | None,
        text: str,
        version: int,
        digest: str,
        automatic: int | None,
        who: str,
    ) -> Mark:
        """Add a version after the one that the reviewer has seen; Stale when another stands there.

        Saving what stands already changes nothing.
        """
        written = _written(text)
        new = Mark(0, target, 0, points, written, digest, automatic, _name(who), _now(), None)
        _check(new)
        with self._saving(target) as session:
            standing = _newest(session, target)
            if _says_as(standing, new):
                return standing or new
            if version != (standing.version if standing else 0):
                raise Stale(standing)
            return _added(session, replace(new, version=version + 1))

    def undo(self, number: int, who: str) -> Mark:
        """Add what the version before `number` said; Stale unless that is the newest."""
        target = self._target(number)
        with self._saving(target) as session:
            standing = _newest(session, target)
            if standing is None or standing.number != number:
                raise Stale(standing)
            before = _newest(session, target, below=standing.version)
            before = before or replace(standing, points=None, text="", automatic=None)
            version = standing.version + 1
            new = replace(before, version=version, who=_name(who), at=_now(), undoes=number)
            return _added(session, new)

    def _target(self, number: int) -> Target:
        if 0 < number <= _LARGEST:
            with self._file.reading() as session:
                row = session.get(Row, number) if session else None
                if row:
                    return _mark(row).target
        raise UsageError(
            "There is no such change that could be undone.",
            tip="Open the candidate's page again: it may be an old one.",
        )

    @contextlib.contextmanager
    def _saving(self, target: Target) -> Iterator[Session]:
        try:
            with self._file.saving() as session:
                yield session
        except IntegrityError as error:  # on a file system whose locks do not hold
            raise Stale(self.standing(target)) from error

    def _read_on(self) -> None:
        """Take in the rows that are new: numbers only grow, and rows stay as they are."""
        with self._file.reading() as session:
            place = self._file.place() if session else None
            if place != self._seen_in:
                self._standing, self._seen, self._seen_in = {}, 0, place
            rows = select(Row).where(Row.number > self._seen).order_by(Row.number)
            for row in session.scalars(rows) if session else ():
                mark = _mark(row)
                self._standing.setdefault(mark.target.candidate, {})[mark.target] = mark
                self._seen = mark.number


# ------------------------------------------------------------------ rows


def _mark(row: Row) -> Mark:
    return Mark(
        number=row.number,
        target=Target(row.candidate, Kind(row.kind), row.exercise, row.item),
        version=row.version,
        points=row.points,
        text=row.text,
        digest=row.digest,
        automatic=row.automatic,
        who=row.who,
        at=row.at,
        undoes=row.undoes,
    )


def _added(session: Session, mark: Mark) -> Mark:
    """The mark as it is saved: with a number."""
    row = Row(
        candidate=mark.target.candidate,
        kind=str(mark.target.kind),
        exercise=mark.target.exercise,
        item=mark.target.item,
        version=mark.version,
        points=mark.points,
        text=mark.text,
        digest=mark.digest,
        automatic=mark.automatic,
        who=mark.who,
        at=mark.at,
        undoes=mark.undoes,
    )
    session.add(row)
    session.flush()
    return replace(mark, number=row.number)


def _newest(session: Session, target: Target, below: int = _LARGEST) -> Mark | None:
    """The newest version of a mark, or the newest before a version."""
    rows = select(Row).where(
        Row.candidate == target.candidate,
        Row.kind == str(target.kind),
        Row.exercise == target.exercise,
        Row.item == target.item,
        Row.version < below,
    )
    row = session.scalar(rows.order_by(Row.version.desc()).limit(1))
    return _mark(row) if row else None


# ------------------------------------------------------------------ what may be saved


def _says_as(standing: Mark | None, new: Mark) -> bool:
    """Whether what stands says the same of the same submission, whoever said it when."""
    if standing is None or standing.is_empty or new.is_empty:
        return (standing is None or standing.is_empty) and new.is_empty
    parts = (standing.points, standing.text, standing.digest, standing.automatic)
    return parts == (new.points, new.text, new.digest, new.automatic)


def _check(mark: Mark) -> None:
    """UsageError for what cannot be kept as it was written, or means nothing."""
    target = mark.target
    if len(mark.text) > LONGEST:
        raise UsageError(
            f"The text has {len(mark.text):,} characters; {LONGEST:,} can be saved.",
            tip="Shorten it: nothing is cut for you.",
        )
    if not all(map(_is_plain, (mark.text, *_keys(mark)))):
        raise UsageError(
            "The text has characters that cannot be saved (NUL, or half of a character).",
            tip="Write it again instead of pasting it.",
        )
    if max(map(len, _keys(mark))) > _LONGEST_KEY or not target.candidate:
        raise UsageError("That names nothing that could be marked.")
    for points in (mark.points, mark.automatic):
        if points is not None and not 0 <= points <= _MOST_POINTS:
            raise UsageError("The points are out of range.")
    _check_kind(mark)


def _check_kind(mark: Mark) -> None:
    kind, points = mark.target.kind, mark.points
    if kind is Kind.COMMENT and points is not None:
        raise UsageError("A comment has no points.")
    if kind is Kind.ANSWER and points is not None and points > MOST:
        raise UsageError(f"An answer is given 0 to {MOST} points.")
    if kind is Kind.OVERRIDE and (points is None) is not (not mark.text):
        missing = "the points" if points is None else "a reason"
        raise UsageError(f"An override needs {missing}: both, or neither to take it back.")


def _keys(mark: Mark) -> tuple[str, ...]:
    return mark.target.candidate, mark.target.exercise, mark.target.item, mark.digest


def _is_plain(text: str) -> bool:
    """Whether SQLite gives it back as it is."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _written(text: str) -> str:
    """The text as it was typed: a browser sends other line breaks; blanks alone say nothing."""
    return text.replace("\r\n", "\n") if text.strip() else ""


def _name(who: str) -> str:
    return " ".join(sanitize(who).split())[:_LONGEST_NAME].strip() or "unnamed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
