"""The candidates of a results folder as they are on disk now; only changed files are read again.

Nothing is written, and locks are held only for an instant: `archprep grade` may be running.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path

from archprep.interview.model import Batch, Result
from archprep.interview.reports import statistics
from archprep.interview.reports.statistics import Statistics
from archprep.interview.results.results_folder import ResultsFolder
from archprep.interview.results.results_lock import LOCK, require_results
from archprep.review import candidate_results, candidate_rows
from archprep.review.candidate_rows import CachedRow, CandidateRow


class ResultsReader:
    """Reads one results folder. Safe to use from any number of threads."""

    def __init__(self, root: Path) -> None:
        require_results(root)
        self.root = root
        self._folder = ResultsFolder(root)
        self.batch: Batch = self._folder.batch()
        self._lock = threading.Lock()
        self._cache: dict[str, CachedRow] = {}
        self._rows: tuple[CandidateRow, ...] = ()
        self._statistics: tuple[tuple[CandidateRow, ...], Statistics] | None = None

    def is_being_graded(self) -> bool:
        """Whether `archprep grade` is writing to the folder."""
        with contextlib.suppress(OSError):
            lock = os.open(self.root / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                # Shared, so that two readers do not mistake each other for `grade`.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(lock)
        return False

    def rows(self) -> tuple[CandidateRow, ...]:
        """All candidates, sorted by slug; the same object as before if nothing has changed."""
        with self._lock:
            self._cache = {slug: self._current(slug) for slug in self._folder.slugs()}
            rows = tuple(cached.row for cached in self._cache.values())
            if rows != self._rows:
                self._rows = rows
            return self._rows

    def result(self, slug: str) -> Result:
        """Everything about a candidate; KeyError if there is no such candidate."""
        if not self._is_candidate(slug):
            raise KeyError(slug)
        return candidate_results.read_result(self._folder, slug)

    def earlier(self, slug: str) -> list[tuple[int, Result]]:
        """The readable earlier gradings of a candidate, newest first, without source."""
        if not self._is_candidate(slug):
            return []
        return candidate_results.read_earlier(self._folder, slug)

    def one_earlier(self, slug: str, number: int) -> Result:
        """One earlier grading with source; KeyError if there is no such grading."""
        if not self._is_candidate(slug):
            raise KeyError(slug)
        return candidate_results.read_one_earlier(self._folder, slug, number)

    def statistics(self) -> Statistics:
        """The statistics of the batch, cached until a candidate changes."""
        rows = self.rows()
        if self._statistics is None or self._statistics[0] is not rows:
            self._statistics = (rows, statistics.of([row.result for row in rows]))
        return self._statistics[1]

    def _is_candidate(self, slug: str) -> bool:
        # Text from a request becomes a path only if the folder lists it.
        return slug in self._folder.slugs()

    def _current(self, slug: str) -> CachedRow:
        cached = self._cache.get(slug)
        if cached and cached.is_fresh():
            return cached
        return candidate_rows.read_row(self._folder, slug)
