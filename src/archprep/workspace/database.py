"""The SQLite file behind the store: created when first needed and shared by processes.

Reading never creates a file and needs no permission to write. A damaged file is moved aside under
a lock, together with its journal, and never deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archprep.core.errors import UsageError

if TYPE_CHECKING:
    import sqlite3

_T = TypeVar("_T")
_Values = tuple[object, ...]

_VERSION = 1
_APPLICATION_ID = 0x41524350  # "ARCP": distinguishes this file from other programs' databases
_BUSY_SECONDS = 10.0
_JOURNALS = ("-journal", "-wal", "-shm")
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE workspaces (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows with each start: the highest is the last
    exercise TEXT NOT NULL UNIQUE, path BLOB NOT NULL, started_at TEXT NOT NULL);
CREATE TABLE submissions (digest TEXT PRIMARY KEY, files BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, exercise TEXT NOT NULL, started_at TEXT NOT NULL,
    score INTEGER NOT NULL, max_score INTEGER NOT NULL, partial INTEGER NOT NULL,
    scored INTEGER NOT NULL, digest TEXT NOT NULL REFERENCES submissions (digest),
    seed INTEGER NOT NULL, scorecard TEXT NOT NULL);
CREATE INDEX attempts_by_exercise ON attempts (exercise, partial, scored, score);
CREATE TABLE hints (
    exercise TEXT NOT NULL, criterion TEXT NOT NULL, taken INTEGER NOT NULL,
    PRIMARY KEY (exercise, criterion)) WITHOUT ROWID;
CREATE TABLE give_ups (exercise TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts
    BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempts_are_final BEFORE UPDATE ON attempts
    BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class StoreError(UsageError):
    """Something could not be saved; the caller still has it."""


class Database:
    """Queries and transactions on one file. `warnings` holds sentences for the user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(self, sql: str, values: _Values = ()) -> list[Any]:
        """Return the rows; none if nothing was ever saved or the file cannot be read."""
        import sqlite3

        try:
            return self._recovering(lambda: self._rows(sql, values))
        except (OSError, sqlite3.Error) as error:
            self._warn(f"archprep cannot read its state in {self.path.parent}: {error}.")
            return []

    def write(self, sql: str, values: _Values) -> list[Any]:
        """Run one statement in a transaction of its own; StoreError if it cannot be saved."""
        return self.transaction(lambda db: db.execute(sql, values).fetchall())

    def transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in a transaction; StoreError if it cannot be saved."""
        import sqlite3

        try:
            return self._recovering(lambda: self._commit(work))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"archprep cannot save to {self.path.parent}: {error}.",
                tip="Free some space or make the folder writable, "
                "or set ARCHPREP_HOME to another folder.",
            ) from error

    def _rows(self, sql: str, values: _Values) -> list[Any]:
        if self._connection is None:
            if not _has_content(self.path):
                return []
            self._connection = _open(self.path)
        return self._connection.execute(sql, values).fetchall()

    def _commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            _create_if_missing(self.path)
            self._connection = _open(self.path)
        with _immediate(self._connection) as db:
            return work(db)

    def _recovering(self, work: Callable[[], _T]) -> _T:
        """Run `work`; if the file turns out to be damaged, move it aside and run it again."""
        import sqlite3

        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not _indicates_damage(error):
                raise
        self.close()
        if name := _move_aside(self.path):
            self._warn(
                f"The state database was damaged. It is kept as {name}; archprep starts a new one."
            )
        return work()

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


# -- opening -----------------------------------------------------------------------------------


def _open(path: Path) -> sqlite3.Connection:
    """Connect to an existing state database that this version understands."""
    import sqlite3

    db = _connect(path)
    try:
        kind = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        db.close()
        raise
    if kind == _APPLICATION_ID and version <= _VERSION:
        return db
    db.close()
    if kind != _APPLICATION_ID:
        raise sqlite3.DatabaseError(_FOREIGN)
    raise UsageError(
        "The saved attempts were written by a newer archprep.",
        tip="Upgrade it (pip install --upgrade archprep), or set ARCHPREP_HOME to another folder.",
    )


def _create_if_missing(path: Path) -> None:
    if _has_content(path):
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold people's code
    with _locked(path):
        if not _has_content(path):
            # One transaction: an interruption leaves an empty file, which counts as missing.
            with contextlib.closing(_connect(path, "rwc")) as db:
                db.executescript(_SCHEMA)


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    import sqlite3

    # Path.as_uri would do the same, but loads urllib: 3 ms of every command.
    name = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    uri = f"file:{name}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _immediate(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:  # Ctrl-C too
        if db.in_transaction:  # SQLite may have rolled back itself, as on a full disk
            db.execute("ROLLBACK")
        raise


# -- damage ------------------------------------------------------------------------------------

_FOREIGN = "it is not a state database of archprep"


def _indicates_damage(error: sqlite3.DatabaseError) -> bool:
    import sqlite3

    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    said = str(error)
    gone = ("no such table", "no such column", "has no column named")
    return said == _FOREIGN or any(part in said for part in gone)


def _move_aside(path: Path) -> str | None:
    """Rename a damaged file and its journals; None if another process has already replaced it."""
    with _locked(path):
        if not _has_content(path) or _is_sound(path):
            return None
        target = _free_name(path)
        for suffix in ("", *_JOURNALS):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{target}{suffix}")
        return target.name


def _is_sound(path: Path) -> bool:
    import sqlite3

    try:
        with contextlib.closing(_open(path)) as db:
            intact = db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
            return bool(intact and _columns(db) == _columns_of_schema())
    except sqlite3.DatabaseError:
        return False


def _columns_of_schema() -> set[tuple[str, str]]:
    import sqlite3

    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_SCHEMA)
        return _columns(db)


def _columns(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """The tables of a database and their columns."""
    sql = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
    return set(db.execute(f"{sql} WHERE m.type = 'table'"))


def _free_name(path: Path) -> Path:
    stem = f"{path}.broken-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    names = (Path(stem if n == 1 else f"{stem}-{n}") for n in range(1, 1000))
    return next(name for name in names if not name.exists())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock for creating or replacing the file: one process at a time."""
    import fcntl

    with open(f"{path}.lock", "ab") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
