"""What archprep remembers: workspaces, attempts, hints taken, solutions opened early.

Attempts are only ever added. Saving raises `StoreError` if it fails; reading never raises, so that
`list` and `check` work where nothing can be written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from archprep.workspace.database import Database

if TYPE_CHECKING:
    import sqlite3

    from archprep.core.model import Scorecard, Submission


class Attempt(NamedTuple):
    """One saved grading of a submission; `scorecard` is JSON text."""

    id: int
    exercise: str
    started_at: str
    score: int
    max_score: int
    partial: bool
    scored: bool
    digest: str
    seed: int
    scorecard: str


_SELECTION = "coalesce(json_extract(scorecard, '$.selection'), '[]')"  # format 1 has none
_FOLDER = "json_extract(scorecard, '$.folder')"  # that was graded, if it is not the workspace
_COLUMNS = ", ".join(Attempt._fields)


def home() -> Path:
    """Return the folder of archprep's state; it may not exist yet."""
    if chosen := os.environ.get("ARCHPREP_HOME"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("archprep", appauthor=False))


def cache_dir() -> Path:
    """Return the folder for what can be rebuilt; it may not exist yet."""
    return home() / "cache"


class Store:
    """The state under `home()`. Print its `warnings` once, at the end of a command."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    def open(cls) -> Store:
        """Open the state; UsageError if a newer archprep wrote it."""
        database = Database(home() / "state.sqlite")
        database.read("SELECT 1")
        return cls(database)

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user: the database was damaged, or cannot be read."""
        return self._db.warnings

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- workspaces --------------------------------------------------------------------------

    def remember_workspace(self, exercise: str, path: Path) -> None:
        """Record `path` as the workspace of `exercise`, which becomes the last one started."""
        self._db.write(
            "REPLACE INTO workspaces (exercise, path, started_at) VALUES (?, ?, ?)",
            (exercise, os.fsencode(path.absolute()), _now()),
        )

    def workspace_of(self, exercise: str) -> Path | None:
        """Return the folder in which `exercise` was last started; it may no longer exist."""
        rows = self._db.read("SELECT path FROM workspaces WHERE exercise = ?", (exercise,))
        return Path(os.fsdecode(rows[0][0])) if rows else None

    def last_started(self) -> tuple[str, Path] | None:
        """Return the exercise that was started or resumed last, and its folder."""
        rows = self._db.read("SELECT exercise, path FROM workspaces ORDER BY seq DESC LIMIT 1")
        return (rows[0][0], Path(os.fsdecode(rows[0][1]))) if rows else None

    # -- attempts ----------------------------------------------------------------------------

    def add_attempt(self, card: Scorecard, scorecard_json: str, folder: Path | None = None) -> int:
        """Save an attempt with the bytes of its staged submission; return its number.

        `folder` is what was graded, if it is not one's own workspace: no attempt of one's own.
        """
        if folder is not None:
            scorecard_json = json.dumps(json.loads(scorecard_json) | {"folder": str(folder)})
        row = (
            *(card.exercise, card.started_at, card.score, card.max_score, card.partial),
            *(card.scored, card.submission.digest, card.seed, scorecard_json),
        )

        def insert(db: sqlite3.Connection) -> int:
            # `watch` may grade the same files many times: they are saved once.
            files = (card.submission.digest, _zipped(card.submission))
            db.execute("INSERT OR IGNORE INTO submissions VALUES (?, ?)", files)
            marks = ", ".join("?" * len(row))
            done = db.execute(f"INSERT INTO attempts VALUES (NULL, {marks})", row)  # noqa: S608
            return int(done.lastrowid or 0)

        return self._db.transaction(insert)

    def attempts(self, exercise: str, folder: str | None = None) -> list[Attempt]:
        """Return the attempts at `exercise` in one's workspace, or in `folder`, oldest first."""
        return self._attempts(exercise, f"AND {_FOLDER} IS ? ORDER BY id", folder)

    def last_folder(self, exercise: str) -> str | None:
        """Return the folder that was graded last; None if it was one's own workspace."""
        latest = f"SELECT {_FOLDER} FROM attempts WHERE exercise = ? ORDER BY id DESC LIMIT 1"  # noqa: S608 - only our own text
        rows = self._db.read(latest, (exercise,))
        return rows[0][0] if rows else None

    def last_attempt(self, exercise: str) -> Attempt | None:
        """Return the latest attempt, partial or not, in whatever folder."""
        return next(iter(self._attempts(exercise, "ORDER BY id DESC LIMIT 1")), None)

    def best_attempt(self, exercise: str, selection: Sequence[int] = ()) -> Attempt | None:
        """Return the best attempt at the selected tasks, () for all; of equals, the latest."""
        best = (
            f"AND {_SELECTION} = ? AND NOT partial AND scored AND {_FOLDER} IS NULL"
            " ORDER BY score DESC, id DESC LIMIT 1"
        )
        chosen = f"[{','.join(map(str, selection))}]"
        return next(iter(self._attempts(exercise, best, chosen)), None)

    def submission_files(self, digest: str) -> dict[str, bytes]:
        """Return the files of a graded submission by path; empty if it is unknown."""
        rows = self._db.read("SELECT files FROM submissions WHERE digest = ?", (digest,))
        return _unzipped(rows[0][0]) if rows else {}

    def states(self, exercises: Iterable[str] = ()) -> dict[str, str]:
        """Return the state of `exercises`, and of all that were started, by id.

        A state is `not started`, `in progress`, `best 73`, or `best 44/52` for some of the tasks.
        """
        rows = self._db.read(
            # SQLite takes `most` from the row that has the maximum.
            "SELECT exercise, max(score), most FROM ("  # noqa: S608 - only our own text
            " SELECT exercise, NULL AS score, NULL AS most FROM workspaces UNION ALL"
            f" SELECT exercise, iif(partial OR NOT scored OR {_FOLDER} NOTNULL, NULL, score),"
            f" iif({_SELECTION} = '[]', 100, max_score) FROM attempts)"
            " GROUP BY exercise"
        )
        found = {exercise: _state(score, most) for exercise, score, most in rows}
        return dict.fromkeys(exercises, "not started") | found

    def _attempts(self, exercise: str, rest: str, *values: str | None) -> list[Attempt]:
        sql = f"SELECT {_COLUMNS} FROM attempts WHERE exercise = ? {rest}"  # noqa: S608
        rows = self._db.read(sql, (exercise, *values))
        return [_attempt(row) for row in rows]

    # -- hints and give-ups ------------------------------------------------------------------

    def take_hint(self, exercise: str, criterion: str) -> int:
        """Count one more hint for a criterion; return how many were taken for it."""
        rows = self._db.write(
            "INSERT INTO hints VALUES (?, ?, 1)"
            " ON CONFLICT DO UPDATE SET taken = taken + 1 RETURNING taken",
            (exercise, criterion),
        )
        return int(rows[0][0])

    def hints_taken(self, exercise: str) -> dict[str, int]:
        """Return how many hints were taken, by criterion."""
        sql = "SELECT criterion, taken FROM hints WHERE exercise = ?"
        return dict(self._db.read(sql, (exercise,)))

    def give_up(self, exercise: str) -> None:
        """Record that the solution was opened before 100 points."""
        self._db.write("INSERT OR IGNORE INTO give_ups VALUES (?, ?)", (exercise, _now()))

    def gave_up(self, exercise: str) -> str | None:
        """Return when the solution was first opened early (ISO 8601, UTC), if it was."""
        rows = self._db.read("SELECT at FROM give_ups WHERE exercise = ?", (exercise,))
        return str(rows[0][0]) if rows else None


def _state(score: int | None, most: int) -> str:
    if score is None:
        return "in progress"
    return f"best {score}" if most == 100 else f"best {score}/{most}"


def _attempt(row: tuple[Any, ...]) -> Attempt:
    saved = Attempt._make(row)
    return saved._replace(partial=bool(saved.partial), scored=bool(saved.scored))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _zipped(submission: Submission) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in submission.files:
            data = (submission.root / file.path).read_bytes()
            archive.writestr(zipfile.ZipInfo(file.path), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _unzipped(data: bytes) -> dict[str, bytes]:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
