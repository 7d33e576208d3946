"""What a failure of SQLite means to a reviewer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.text import shown

_FOREIGN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
_NOT_WRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class ReadOnlyError(UsageError):
    """Marks cannot be saved; the message says why."""


def is_foreign(error: DBAPIError) -> bool:
    """Whether the file is damaged or not a database of marks."""
    return _code(error) in _FOREIGN


def is_busy(error: DBAPIError) -> bool:
    """Whether another process holds the lock."""
    return _code(error) == sqlite3.SQLITE_BUSY


def foreign(path: Path) -> UsageError:
    """The file is damaged or not a database of marks."""
    return UsageError(
        f"{shown(path)} is damaged or is not an archprep review database.",
        tip="Move it elsewhere to start with a new one.",
    )


def read_only_reason(path: Path, error: DBAPIError) -> str:
    """Why the file cannot be written."""
    if _code(error) == sqlite3.SQLITE_FULL:
        return f"The disk is full: {shown(path)} cannot be written."
    if _code(error) in _NOT_WRITABLE:
        return f"{shown(path)} cannot be written: the file or its folder is read-only."
    return f"{shown(path)} cannot be written: {sanitize(str(error.orig), 200)}."


def read_only(reason: str) -> ReadOnlyError:
    """Nothing was saved, for the reason given."""
    return ReadOnlyError(
        f"Nothing was saved. {reason}",
        tip="Make it writable or free some disk space, then restart `archprep review`.",
    )


def not_saved(path: Path, error: DBAPIError) -> UsageError:
    """Nothing was saved because of `error`."""
    if is_foreign(error):
        return foreign(path)
    if is_busy(error):
        return UsageError(
            f"Nothing was saved: another program has locked {shown(path)}.",
            tip="Try again in a moment.",
        )
    return read_only(read_only_reason(path, error))


def unreadable(path: Path, error: DBAPIError | OSError) -> UsageError:
    """The marks cannot be read because of `error`."""
    if isinstance(error, DBAPIError):
        if is_foreign(error):
            return foreign(path)
        if _code(error) == sqlite3.SQLITE_READONLY:
            return UsageError(
                f"The last save to {shown(path)} was interrupted and must be rolled back first, "
                "but the folder is read-only.",
                tip="Copy the whole folder to a writable place and review the copy.",
            )
    cause = error.orig if isinstance(error, DBAPIError) else error.strerror
    return UsageError(
        f"The marks in {shown(path)} cannot be read: {sanitize(str(cause), 200)}.",
        tip="Restore the file or make it readable, then try again.",
    )


def _code(error: DBAPIError) -> int:
    """SQLite's primary result code."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
