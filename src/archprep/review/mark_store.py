"""Saves, reads and undoes marks. Every change adds a version, so nothing is overwritten.

Saving names the version that the reviewer has seen. If two reviewers save the same next version,
in one process or in two, the second one gets a StaleMarkError.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from archprep.core.errors import UsageError
from archprep.review.mark_database import MarkDatabase, MarkRecord
from archprep.review.marks import (
    Mark,
    MarkKind,
    StaleMarkError,
    Target,
    has_same_content,
    is_storable,
    new_version,
    now,
    reviewer_name,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DATABASE_NAME = "review.sqlite3"

_MAX_INTEGER = 2**63 - 1  # of SQLite


class MarkStore:
    """The marks in a results folder. Safe to use from any number of threads."""

    def __init__(self, database: MarkDatabase) -> None:
        self._database = database
        self._cache_lock = threading.Lock()
        self._latest: dict[str, dict[Target, Mark]] = {}  # by candidate
        self._last_number = 0  # of the records in the cache
        self._cached_file: tuple[int, int] | None = None

    @classmethod
    def open(cls, root: Path) -> MarkStore:
        """The marks in `root`; UsageError if their file is newer, damaged or not archprep's."""
        return cls(MarkDatabase(root / DATABASE_NAME))

    @property
    def read_only_reason(self) -> str:
        """Why marks cannot be saved; empty if they can."""
        return self._database.read_only_reason

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def current(self, candidate: str | None = None) -> list[Mark]:
        """The current marks of one candidate or of all, in the order of saving."""
        with self._cache_lock:
            self._update_cache()
            if candidate is None:
                groups = list(self._latest.values())
            else:
                groups = [self._latest.get(candidate, {})]
            found = [mark for group in groups for mark in group.values() if not mark.is_empty]
        return sorted(found, key=lambda mark: mark.number)

    def history(self, candidate: str, limit: int = 200) -> list[Mark]:
        """All versions of a candidate's marks, newest first."""
        if not is_storable(candidate):
            return []
        query = select(MarkRecord).where(MarkRecord.candidate == candidate)
        query = query.order_by(MarkRecord.number.desc()).limit(min(max(limit, 0), _MAX_INTEGER))
        with self._database.reading() as session:
            return [_to_mark(record) for record in session.scalars(query)] if session else []

    def latest(self, target: Target) -> Mark | None:
        """The latest version of one mark, which may be a removal."""
        if not all(map(is_storable, (target.candidate, target.exercise, target.item))):
            return None
        with self._database.reading() as session:
            return _find_latest(session, target) if session else None

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
        """Add the version after `version`. Saving unchanged content adds nothing.

        Raises StaleMarkError if there is a newer version, UsageError if the content is invalid.
        """
        new = new_version(
            target, points=points, text=text, digest=digest, automatic=automatic, who=who
        )
        with self._saving(target) as session:
            latest = _find_latest(session, target)
            if has_same_content(latest, new):
                return latest or new
            if version != (latest.version if latest else 0):
                raise StaleMarkError(latest)
            return _add(session, replace(new, version=version + 1))

    def undo(self, number: int, who: str) -> Mark:
        """Add a version with the content before version `number`, which must be the latest."""
        target = self._target(number)
        with self._saving(target) as session:
            latest = _find_latest(session, target)
            if latest is None or latest.number != number:
                raise StaleMarkError(latest)
            before = _find_latest(session, target, below=latest.version)
            before = before or replace(latest, points=None, text="", automatic=None)
            version = latest.version + 1
            who = reviewer_name(who)
            return _add(session, replace(before, version=version, who=who, at=now(), undoes=number))

    def _target(self, number: int) -> Target:
        if 0 < number <= _MAX_INTEGER:
            with self._database.reading() as session:
                record = session.get(MarkRecord, number) if session else None
                if record:
                    return _to_mark(record).target
        raise UsageError(
            "This change cannot be undone: it does not exist.",
            tip="Reload the candidate's page and try again.",
        )

    @contextlib.contextmanager
    def _saving(self, target: Target) -> Iterator[Session]:
        try:
            with self._database.saving() as session:
                yield session
        except IntegrityError as error:  # on file systems without working locks
            raise StaleMarkError(self.latest(target)) from error

    def _update_cache(self) -> None:
        """Read new records only: numbers always grow and records never change."""
        with self._database.reading() as session:
            file_id = self._database.file_id() if session else None
            if file_id != self._cached_file:
                self._latest, self._last_number, self._cached_file = {}, 0, file_id
            query = select(MarkRecord).where(MarkRecord.number > self._last_number)
            query = query.order_by(MarkRecord.number)
            for record in session.scalars(query) if session else ():
                mark = _to_mark(record)
                self._latest.setdefault(mark.target.candidate, {})[mark.target] = mark
                self._last_number = mark.number


def _to_mark(record: MarkRecord) -> Mark:
    return Mark(
        number=record.number,
        target=Target(record.candidate, MarkKind(record.kind), record.exercise, record.item),
        version=record.version,
        points=record.points,
        text=record.text,
        digest=record.digest,
        automatic=record.automatic,
        who=record.who,
        at=record.at,
        undoes=record.undoes,
    )


def _add(session: Session, mark: Mark) -> Mark:
    """Insert the mark and return it with its number."""
    record = MarkRecord(
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
    session.add(record)
    session.flush()
    return replace(mark, number=record.number)


def _find_latest(session: Session, target: Target, below: int = _MAX_INTEGER) -> Mark | None:
    """The latest version of a mark before version `below`."""
    query = select(MarkRecord).where(
        MarkRecord.candidate == target.candidate,
        MarkRecord.kind == str(target.kind),
        MarkRecord.exercise == target.exercise,
        MarkRecord.item == target.item,
        MarkRecord.version < below,
    )
    record = session.scalar(query.order_by(MarkRecord.version.desc()).limit(1))
    return _to_mark(record) if record else None
