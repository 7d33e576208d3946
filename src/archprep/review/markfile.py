"""The SQLite file under the marks: made when first opened, shared by processes, only added to.

It is never replaced and never overwritten: what is no file of ours is refused. Where nothing can
be written it is read all the same.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.results import shown

VERSION = 1
_APPLICATION_ID = 0x41525256  # "ARRV": tells our file from another program's
_BUSY_SECONDS = 5.0
_FOREIGN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)


class ReadOnly(UsageError):  # noqa: N818 - it says what the folder is
    """Nothing can be saved; the message says why."""


# ------------------------------------------------------------------ the table


class _Base(DeclarativeBase):
    pass


class Row(_Base):
    """One version of a mark. The constraint is the lock: a version can be written once."""

    __tablename__ = "marks"
    __table_args__ = (
        UniqueConstraint("candidate", "kind", "exercise", "item", "version"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(primary_key=True)
    candidate: Mapped[str]
    kind: Mapped[str]
    exercise: Mapped[str]
    item: Mapped[str]
    version: Mapped[int]
    points: Mapped[int | None]
    text: Mapped[str]
    digest: Mapped[str]
    automatic: Mapped[int | None]
    who: Mapped[str]
    at: Mapped[str]
    undoes: Mapped[int | None]


_STAY = """CREATE TRIGGER marks_stay_{change} BEFORE {change} ON marks
    BEGIN SELECT RAISE(ABORT, 'marks are only added'); END"""


# ------------------------------------------------------------------ the file


class MarkFile:
    """Sessions to read and to save in; any number of threads may use it."""

    def __init__(self, path: Path) -> None:
        """Make the file, or look whether it is ours and whether it can be written."""
        self.path = path
        self.why_not = ""
        self._mode = "rwc"
        self._one_saves = threading.Lock()
        # Connections are not kept: one to a file that was moved away would go on taking marks.
        self._engine = create_engine("sqlite://", creator=self._connected, poolclass=NullPool)
        event.listen(self._engine, "begin", _begin)
        self._prepare()

    def close(self) -> None:
        """Let go of it."""
        self._engine.dispose()

    def place(self) -> tuple[int, int]:
        """What tells this file from another one that was put there instead."""
        found = self.path.stat()
        return found.st_dev, found.st_ino

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session | None]:
        """All that is read in it belongs to one instant; None where nothing was ever saved."""
        if self._mode == "ro" and not _has_content(self.path):
            yield None
            return
        try:
            with Session(self._engine) as session:
                yield session
        except (DBAPIError, OSError) as error:
            raise _unreadable(self.path, error) from error

    @contextlib.contextmanager
    def saving(self) -> Iterator[Session]:
        """Nobody else saves meanwhile; at its end all is on the disk, or nothing with an error."""
        if self.why_not:
            raise ReadOnly(f"Nothing was saved. {self.why_not}", tip=_WRITABLE)
        try:
            with self._one_saves, Session(self._saver) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise _unsaved(self.path, error) from error

    # -------------------------------------------------------------- opening

    def _prepare(self) -> None:
        if self.path.exists() and not self.path.is_file():
            raise _foreign(self.path)
        try:
            with self._saver.begin() as connection:
                _make_or_check(connection, self.path)
            self._mode = "rw"
        except DBAPIError as error:
            self._make_do(error)

    def _make_do(self, error: DBAPIError) -> None:
        """Find out whether the file can at least be read."""
        if _code(error) in _FOREIGN:
            raise _foreign(self.path) from error
        if _code(error) == sqlite3.SQLITE_BUSY:  # that passes
            self._mode = "rw"
        else:
            self._mode, self.why_not = "ro", _why_not(self.path, error)
        with self.reading() as session:
            if session:
                _check(session.connection(), self.path)

    @property
    def _saver(self) -> Engine:
        return self._engine.execution_options(saving=True)

    def _connected(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={self._mode}"
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _begin(connection: Connection) -> None:
    """Python would begin a transaction with the first change: too late to look before it."""
    saving = connection.get_execution_options().get("saving")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if saving else "BEGIN")


def _make_or_check(connection: Connection, path: Path) -> None:
    if not _check(connection, path):
        _Base.metadata.create_all(connection)
        for change in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(_STAY.format(change=change))
        connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
    # Also where nothing changes: SQLite notices with the first write what it may not write.
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


def _check(connection: Connection, path: Path) -> bool:
    """Whether marks are in the file; False if nothing is. UsageError if they are not ours."""
    kind = connection.exec_driver_sql("PRAGMA application_id").scalar()
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
    tables = inspect(connection).get_table_names()
    if not (kind or version or tables):
        return False
    if kind != _APPLICATION_ID:
        raise _foreign(path)
    if version > VERSION:
        raise UsageError(
            f"The marks in {shown(path)} were saved by a newer archprep.",
            tip="Upgrade archprep: pip install --upgrade archprep",
        )
    if Row.__tablename__ not in tables:
        raise _foreign(path)
    return True


def _has_content(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False


# ------------------------------------------------------------------ what went wrong

_WRITABLE = "Make it writable or make room there, then start `archprep review` again."


def _code(error: DBAPIError) -> int:
    """SQLite's primary code."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _why_not(path: Path, error: DBAPIError) -> str:
    if _code(error) == sqlite3.SQLITE_FULL:
        return f"The disk is full: {shown(path)} cannot be written."
    if _code(error) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"{shown(path)} cannot be written: the file or its folder is read-only."
    return f"{shown(path)} cannot be written: {sanitize(str(error.orig), 200)}."


def _unsaved(path: Path, error: DBAPIError) -> UsageError:
    if _code(error) in _FOREIGN:
        return _foreign(path)
    if _code(error) == sqlite3.SQLITE_BUSY:
        return UsageError(
            f"Nothing was saved: another program has held {shown(path)} for too long.",
            tip="Save again in a moment.",
        )
    return ReadOnly(f"Nothing was saved. {_why_not(path, error)}", tip=_WRITABLE)


def _unreadable(path: Path, error: DBAPIError | OSError) -> UsageError:
    code = _code(error) if isinstance(error, DBAPIError) else 0
    if code in _FOREIGN:
        return _foreign(path)
    if code == sqlite3.SQLITE_READONLY:
        return UsageError(
            f"The last save in {shown(path)} was cut short; that must be put right before reading.",
            tip="Copy the whole folder to where it can be written, and review the copy.",
        )
    why = error.orig if isinstance(error, DBAPIError) else error.strerror
    return UsageError(
        f"The marks in {shown(path)} cannot be read: {sanitize(str(why), 200)}.",
        tip="Bring the file back or make it readable, then try again.",
    )


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{shown(path)} is damaged, or is no file of marks.",
        tip="Move it aside and keep it; marks then begin anew in a file of that name.",
    )
