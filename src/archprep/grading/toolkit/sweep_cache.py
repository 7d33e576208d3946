"""Remembers the reference's traces, so that a program is played on it once.

The cache only saves time: where it cannot be read or written, the reference plays again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from archprep.grading.toolkit.sweep_spec import Program, Trace

FILE = "sweep-traces.sqlite"
MOST_TRACES = 100_000  # about 50 MB; the oldest are dropped
BUSY_SECONDS = 1.0  # to wait for another process that writes

_TABLE = "CREATE TABLE IF NOT EXISTS trace (key BLOB UNIQUE, packed BLOB)"
_TRIM = "DELETE FROM trace WHERE rowid <= (SELECT max(rowid) FROM trace) - ?"


class TraceCache:
    """Traces on disk, by what they depend on: `basis` and the program."""

    def __init__(self, folder: Path, basis: Sequence[Any], most: int = MOST_TRACES) -> None:
        self._folder = folder
        self._basis = json.dumps(basis)
        self._most = most

    def key(self, program: Program) -> bytes:
        """Return the key of a program's trace."""
        return hashlib.sha256(f"{self._basis}\n{json.dumps(program)}".encode()).digest()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Trace]:
        """Return the traces that are known."""
        found: dict[bytes, Trace] = {}
        with suppress(sqlite3.Error, OSError), self._opened() as database:
            for key in keys:
                for (packed,) in database.execute("SELECT packed FROM trace WHERE key=?", [key]):
                    with suppress(zlib.error, msgspec.MsgspecError):  # damaged: play it again
                        found[key] = msgspec.json.decode(zlib.decompress(packed), type=Trace)
        return found

    def write(self, traces: Mapping[bytes, Trace]) -> None:
        """Remember traces, all or none, and forget the oldest beyond the limit."""
        rows = [(k, zlib.compress(msgspec.json.encode(t), 1)) for k, t in traces.items()]
        with suppress(sqlite3.Error, OSError), self._opened() as database, database:
            database.executemany("INSERT OR REPLACE INTO trace VALUES (?, ?)", rows)
            database.execute(_TRIM, [self._most])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._folder / FILE, timeout=BUSY_SECONDS)) as database:
            try:
                database.execute(_TABLE)
            except sqlite3.DatabaseError as e:
                if not isinstance(e, sqlite3.OperationalError):  # not a database: make a new one
                    (self._folder / FILE).unlink(missing_ok=True)
                raise
            yield database
