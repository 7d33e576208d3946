"""What stands in a results folder, read again where files have changed.

Nothing is written here and nothing locked for longer than an instant: `grade` may be at work.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.model import Reason
from archprep.interview import statistics
from archprep.interview.model import NOT_GRADED, Batch, Graded, Received, Result
from archprep.interview.results import LOCK, Folder, failed, require, shown
from archprep.interview.statistics import Statistics
from archprep.report import view
from archprep.review import summaries

NOT_YET = "`archprep grade` has not come to it yet"  # the problem of such an exercise
KINDS = ("late", "time-out", "broken", "weaker isolation", "not scored", "waiting", "damaged")

NOTED = "candidate.json"
_EXERCISE = re.compile(r"q[1-9][0-9]{0,5}")
_LATE = "late by"  # begins the flag
_NOT_RECEIVED = "What was handed in is not noted yet."

Signature = tuple[int, ...] | None  # of a file; None: it is not there


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate, small: scorecards without evidence and files, no sources, nothing reported.

    `seconds` is how long grading took, all exercises together.
    """

    slug: str
    result: Result
    kinds: frozenset[str]
    seconds: float


class Reading:
    """The candidates of a results folder as they are on disk at this moment."""

    def __init__(self, root: Path) -> None:
        require(root)
        self.root = root
        self._folder = Folder(root)
        self.batch: Batch = self._folder.batch()
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._rows: tuple[Row, ...] = ()
        self._figures: tuple[tuple[Row, ...], Statistics] | None = None

    def is_being_graded(self) -> bool:
        """Whether somebody holds the folder, as `grade` does while it writes."""
        import fcntl

        with contextlib.suppress(OSError):
            lock = os.open(self.root / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                # Shared, so that two readers do not take each other for `grade`.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(lock)
        return False

    def rows(self) -> tuple[Row, ...]:
        """All candidates by name of folder; the same object as before when nothing has changed."""
        with self._lock:
            self._kept = {slug: self._current(slug) for slug in self._folder.slugs()}
            rows = tuple(kept.row for kept in self._kept.values())
            if rows != self._rows:
                self._rows = rows
            return self._rows

    def row(self, slug: str) -> Row | None:
        """One candidate; None for anything that names none."""
        if not self._is_candidate(slug):
            return None
        with self._lock:
            kept = self._kept[slug] = self._current(slug)
        return kept.row

    def result(self, slug: str) -> Result:
        """Everything about a candidate, from disk now; KeyError for anything that names none."""
        if not self._is_candidate(slug):
            raise KeyError(slug)
        return _result(self._folder, slug)

    def earlier(self, slug: str) -> list[tuple[int, Result]]:
        """The gradings that were put aside, newest first, without sources and damaged ones."""
        if not self._is_candidate(slug):
            return []
        aside = _numbered(self._folder.candidate(slug) / "earlier")
        found = ((number, _result(_PutAside(path), slug)) for number, path in aside)
        return [(n, _without_sources(result)) for n, result in found if _came_of(result)]

    def put_aside(self, slug: str, number: int) -> Result:
        """One of these gradings in full; KeyError where there is none of that number."""
        if self._is_candidate(slug):
            path = dict(_numbered(self._folder.candidate(slug) / "earlier"))[number]
            if _came_of(result := _result(_PutAside(path), slug)):
                return result
        raise KeyError(slug)

    def statistics(self) -> Statistics:
        """What the batch says about the exercises; kept until a candidate changes."""
        rows = self.rows()
        if self._figures is None or self._figures[0] is not rows:
            self._figures = (rows, statistics.of([row.result for row in rows]))
        return self._figures[1]

    def _is_candidate(self, slug: str) -> bool:
        # What is asked for becomes a path only when the folder has listed it itself.
        return slug in self._folder.slugs()

    def _current(self, slug: str) -> _Kept:
        kept = self._kept.get(slug)
        return kept if kept and kept.is_fresh() else _read(self._folder, slug)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row, and the files that it was made of as they were before they were read."""

    row: Row
    files: tuple[tuple[str, Signature], ...]

    def is_fresh(self) -> bool:
        return all(_signature(path) == signature for path, signature in self.files)


def _signature(path: str) -> Signature:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path for each of thousands of files takes longer
    except FileNotFoundError:
        return None
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _signed(path: Path) -> tuple[str, Signature]:
    text = str(path)
    return text, _signature(text)


# ------------------------------------------------------------------ a candidate, small


def _read(folder: Folder, slug: str) -> _Kept:
    files = [_signed(folder.candidate(slug) / NOTED)]
    received, trouble = _received(folder, slug)
    troubles, graded = {trouble}, []
    for part in received.parts:
        path = folder.part(slug, part.exercise)
        files.append(_signed(path))
        small, trouble = _small(folder, slug, part.exercise, path)
        graded.append(small)
        troubles.add(trouble)
    result = Result(replace(received, reported={}), tuple(graded))
    seconds = sum((g.scorecard.duration_s for g in graded if g.scorecard), 0.0)
    return _Kept(Row(slug, result, _kinds(result, troubles), seconds), tuple(files))


def _kinds(result: Result, troubles: set[str]) -> frozenset[str]:
    """What one can ask for in the list; `troubles` are those of our own files."""
    received = result.received
    is_broken = bool(received.problem) and troubles == {""}
    cards = [graded.scorecard for graded in result.graded if graded.scorecard]
    holds = {
        "late": any(flag.startswith(_LATE) for flag in received.flags),
        "time-out": any(c.reason == Reason.TIMEOUT for card in cards for c in card.criteria),
        "broken": is_broken or any(_is_broken(graded) for graded in result.graded),
        "weaker isolation": any(view.weak(card.isolation) for card in cards),
        "not scored": any(failed(graded) for graded in result.graded),
        "waiting": "waiting" in troubles,
        "damaged": "damaged" in troubles,
    }
    return frozenset(kind for kind in KINDS if holds[kind])


def _is_broken(graded: Graded) -> bool:
    """Whether the candidate is the reason that there is no scorecard."""
    problem = graded.problem or NOT_YET
    return problem != NOT_YET and not problem.startswith(NOT_GRADED)


def _small(folder: Folder, slug: str, exercise: str, path: Path) -> tuple[Graded, str]:
    """What came of an exercise without what takes room, and the trouble with the file of it."""
    try:
        return summaries.skimmed(path.read_bytes(), exercise), ""
    except (OSError, UsageError):
        # Damaged, or text that is no Unicode: reading all of it tells.
        graded = _graded(folder, slug, exercise)
    if graded.problem == NOT_YET:
        return graded, "waiting"
    return summaries.bare(graded), "damaged" if failed(graded) and not graded.scorecard else ""


# ------------------------------------------------------------------ a candidate in full


class _PutAside(Folder):
    """One grading that was put aside: its folder is that of the candidate."""

    def candidate(self, slug: str) -> Path:  # noqa: ARG002 - there is no other
        return self.root


def _numbered(earlier: Path) -> list[tuple[int, Path]]:
    with contextlib.suppress(OSError):
        found = [path for path in earlier.iterdir() if path.name.isascii() and path.name.isdigit()]
        return sorted(((int(path.name), path) for path in found), reverse=True)
    return []


def _result(folder: Folder, slug: str) -> Result:
    received, _ = _received(folder, slug)
    return Result(received, tuple(_graded(folder, slug, p.exercise) for p in received.parts))


def _received(folder: Folder, slug: str) -> tuple[Received, str]:
    """What was handed in, and "waiting" or "damaged" where our own file does not say it."""
    try:
        return _checked(folder, slug), ""
    except UsageError as error:
        if not any(_is_there(folder.candidate(slug) / name) for name in (NOTED, "parts")):
            return Received(slug, slug, "", "", "", problem=_NOT_RECEIVED), "waiting"
        return Received(slug, slug, "", "", "", problem=_within(folder, error.message)), "damaged"


def _checked(folder: Folder, slug: str) -> Received:
    with contextlib.suppress(TypeError):  # its exercises are no list
        received = folder.received(slug)
        names = [part.exercise for part in received.parts]
        # Both become part of paths and links.
        if received.slug == slug and all(map(_EXERCISE.fullmatch, names)):
            return received
    path = shown(folder.candidate(slug) / NOTED)
    raise UsageError(f"{path} is damaged: `archprep grade` has not written it so.")


def _graded(folder: Folder, slug: str, exercise: str) -> Graded:
    graded = folder.graded(slug, exercise)
    if graded.scorecard is None and not _is_there(folder.part(slug, exercise)):
        return Graded(exercise, problem=NOT_YET)
    return replace(graded, problem=graded.problem and _within(folder, graded.problem))


def _within(folder: Folder, sentence: str) -> str:
    """The sentence with its paths from the results folder on: whoever reads it is there."""
    return sentence.replace(f"{shown(folder.root)}/", "")


def _is_there(path: Path) -> bool:
    return _signature(str(path)) is not None


def _came_of(result: Result) -> bool:
    """Whether anything of a grading can be read."""
    return any(graded.scorecard or _is_broken(graded) for graded in result.graded)


def _without_sources(result: Result) -> Result:
    kept = (Graded(g.exercise, g.scorecard, g.problem) for g in result.graded)
    return Result(result.received, tuple(kept))
