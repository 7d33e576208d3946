"""The SQLite database of marks: created on first use, shared by processes, append-only.

A file that is not archprep's is refused, never replaced. A database that cannot be written can
still be read.
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
from archprep.interview.text import shown
from archprep.review import database_errors as errors

VERSION = 1
_APPLICATION_ID = 0x41525256  # "ARRV"
_BUSY_SECONDS = 5.0


class _Base(DeclarativeBase):
    pass


class MarkRecord(_Base):
    """One version of a mark. The unique constraint lets only one writer save a version."""

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


_APPEND_ONLY = """CREATE TRIGGER marks_stay_{change} BEFORE {change} ON marks
    BEGIN SELECT RAISE(ABORT, 'marks are only added'); END"""


class MarkDatabase:
    """Sessions for reading and saving. Safe to use from any number of threads."""

    def __init__(self, path: Path) -> None:
        """Create the database, or check that it is archprep's and whether it is writable."""
        self.path = path
        self.read_only_reason = ""
        self._mode = "rwc"
        self._save_lock = threading.Lock()
        # No pool: a kept connection would go on writing to a file that was moved away.
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        event.listen(self._engine, "begin", _begin)
        self._open()

    def close(self) -> None:
        """Release all connections."""
        self._engine.dispose()

    def file_id(self) -> tuple[int, int]:
        """What distinguishes this file from another one put in its place."""
        found = self.path.stat()
        return found.st_dev, found.st_ino

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session | None]:
        """A session with a consistent snapshot; None if nothing was ever saved."""
        if self._mode == "ro" and not _has_content(self.path):
            yield None
            return
        try:
            with Session(self._engine) as session:
                yield session
        except (DBAPIError, OSError) as error:
            raise errors.unreadable(self.path, error) from error

    @contextlib.contextmanager
    def saving(self) -> Iterator[Session]:
        """An exclusive session. At its end all changes are on disk, or none and an error."""
        if self.read_only_reason:
            raise errors.read_only(self.read_only_reason)
        try:
            with self._save_lock, Session(self._writer) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise errors.not_saved(self.path, error) from error

    def _open(self) -> None:
        if self.path.exists() and not self.path.is_file():
            raise errors.foreign(self.path)
        try:
            with self._writer.begin() as connection:
                _create_or_check(connection, self.path)
            self._mode = "rw"
        except DBAPIError as error:
            self._open_read_only(error)

    def _open_read_only(self, error: DBAPIError) -> None:
        if errors.is_foreign(error):
            raise errors.foreign(self.path) from error
        if errors.is_busy(error):  # temporary
            self._mode = "rw"
        else:
            self._mode, self.read_only_reason = "ro", errors.read_only_reason(self.path, error)
        with self.reading() as session:
            if session:
                _check(session.connection(), self.path)

    @property
    def _writer(self) -> Engine:
        return self._engine.execution_options(saving=True)

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={self._mode}"
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _begin(connection: Connection) -> None:
    """Begin explicitly: sqlite3 would begin with the first change, after our reads."""
    saving = connection.get_execution_options().get("saving")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if saving else "BEGIN")


def _create_or_check(connection: Connection, path: Path) -> None:
    if not _check(connection, path):
        _Base.metadata.create_all(connection)
        for change in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(_APPEND_ONLY.format(change=change))
        connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
    # Written in any case: only a write shows whether the file is writable.
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


def _check(connection: Connection, path: Path) -> bool:
    """Whether the database has marks; False if it is empty, UsageError if it is not usable."""
    application_id = connection.exec_driver_sql("PRAGMA application_id").scalar()
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
    tables = inspect(connection).get_table_names()
    if not (application_id or version or tables):
        return False
    if application_id != _APPLICATION_ID:
        raise errors.foreign(path)
    if version > VERSION:
        raise UsageError(
            f"The marks in {shown(path)} were saved by a newer archprep.",
            tip="Upgrade archprep: pip install --upgrade archprep",
        )
    if MarkRecord.__tablename__ not in tables:
        raise errors.foreign(path)
    return True


def _has_content(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False
