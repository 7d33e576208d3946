"""The results folder: one folder per candidate, valid at every moment.

What is graded is in `parts`, one file for each exercise of a candidate. Everything else about a
candidate can be made from these files; `scorecard.json` exists only while it agrees with them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.model import NOT_GRADED, Batch, Graded, Received, Result
from archprep.interview.results import json_format
from archprep.interview.results.result_files import (
    damaged,
    read_json,
    unwritable,
    write,
    write_json,
)

BATCH, CANDIDATE, SCORECARD = "batch.json", "candidate.json", "scorecard.json"
MADE_FILES = ("report.html", "results.json", "junit.xml", SCORECARD)  # the last: all exist

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_NEW = ".archprep-new"
# Folders of ours, and files of `write_atomically`, that a killed process did not finish.
_UNFINISHED = re.compile(rf"\..*(\.[0-9a-f]{{8}}\.new|{re.escape(_NEW)})", re.DOTALL)


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name was left behind by a killed process."""
    return _UNFINISHED.fullmatch(name) is not None


def read_batch(path: Path) -> Batch:
    """Return the batch in a file; UsageError if it is damaged or newer."""
    import msgspec

    data = read_json(path)
    try:
        return msgspec.convert(data, Batch)
    except msgspec.ValidationError as error:
        raise damaged(path, str(error)) from None


class ResultsFolder:
    """A results folder; only the process that holds its lock may write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def has_begun(self) -> bool:
        """Whether a batch has been written."""
        return (self.root / BATCH).exists()

    def remove_unfinished(self) -> None:
        """Remove what a killed process did not finish writing."""
        for path in [path for path in self.root.rglob(".*new") if is_unfinished(path.name)]:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    # -------------------------------------------------------------- the batch

    def batch(self) -> Batch:
        """Return what all candidates have in common."""
        return read_batch(self.root / BATCH)

    def begin(self, batch: Batch) -> None:
        """Write the batch, before anything is graded."""
        write_json(self.root / BATCH, asdict(batch))

    # -------------------------------------------------------------- candidates

    def slugs(self) -> list[str]:
        """Return the names of the candidates' folders, sorted."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / "candidates") as found:
            return sorted(e.name for e in found if _SLUG.fullmatch(e.name) and e.is_dir())
        return []

    def candidate(self, slug: str) -> Path:
        """Return a candidate's folder, which may not exist yet."""
        if not _SLUG.fullmatch(slug):
            raise ValueError(f"{slug!r} is not a candidate's slug")
        return self.root / "candidates" / slug

    def receive(self, received: Received) -> bool:
        """Write what a candidate submitted; return whether that is new.

        Results of an earlier submission move to earlier/<n>.
        """
        path = self.candidate(received.slug) / CANDIDATE
        text = json_format.received_text(received)
        with contextlib.suppress(OSError, ValueError):
            if path.read_text(encoding="utf-8") == text:
                return False
        self._remove_results_of_others(received)
        self._outdate(received.slug)
        write(path, text)
        return True

    def _remove_results_of_others(self, received: Received) -> None:
        paths = [*(self.candidate(received.slug) / "parts").glob("*.json")]
        if paths and any(json_format.digest_in(path) != received.digest for path in paths):
            self.copy_to_earlier(received.slug)
            for path in paths:
                path.unlink()

    def known(self) -> list[Received]:
        """Return what was received of each candidate, without damaged files."""
        found = []
        for slug in self.slugs():
            with contextlib.suppress(UsageError):
                found.append(self.received(slug))
        return found

    def received(self, slug: str) -> Received:
        """Return what a candidate submitted, without the folders it was in."""
        return json_format.received_in(self.candidate(slug) / CANDIDATE)

    # -------------------------------------------------------------- graded exercises

    def graded_file(self, slug: str, exercise: str) -> Path:
        """Return the file with the outcome of one exercise of a candidate."""
        return self.candidate(slug) / "parts" / f"{exercise}.json"

    def finished(self, received: Received, exercise: str) -> Graded | None:
        """Return the outcome of an exercise if this very submission has a final one."""
        with contextlib.suppress(UsageError):
            data = read_json(self.graded_file(received.slug, exercise))
            graded = json_format.graded_from(data, exercise)
            if data["digest"] == received.digest and not json_format.is_our_fault(graded):
                return graded
        return None

    def save(self, slug: str, digest: str, graded: Graded) -> None:
        """Write the outcome of an exercise of the submission with this digest."""
        self._outdate(slug)
        document = json_format.graded_document(digest, graded)
        write_json(self.graded_file(slug, graded.exercise), document)
        self._postponed_mark(slug, graded.exercise).unlink(missing_ok=True)

    def graded(self, slug: str, exercise: str) -> Graded:
        """Return the outcome of an exercise, whichever submission it is of."""
        try:
            return json_format.graded_from(read_json(self.graded_file(slug, exercise)), exercise)
        except UsageError as e:
            return Graded(exercise, problem=f"{NOT_GRADED}{e.message}")

    def digest(self, slug: str, exercise: str) -> str:
        """Return the digest of the submission that was graded."""
        return json_format.digest_in(self.graded_file(slug, exercise))

    def is_postponed(self, received: Received, exercise: str) -> bool:
        """Whether this submission timed out next to others and must be graded alone."""
        with contextlib.suppress(OSError):
            return self._postponed_mark(received.slug, exercise).read_text() == received.digest
        return False

    def postpone(self, slug: str, digest: str, exercise: str) -> None:
        """Remember that an exercise must be graded alone, even after this process is killed."""
        write(self._postponed_mark(slug, exercise), digest)

    def _postponed_mark(self, slug: str, exercise: str) -> Path:
        return self.graded_file(slug, exercise).with_suffix(".postponed")

    def _outdate(self, slug: str) -> None:
        (self.candidate(slug) / SCORECARD).unlink(missing_ok=True)

    # -------------------------------------------------------------- results

    def result(self, slug: str, *, sources: bool = True) -> Result:
        """Return everything about a candidate; without the sources it is small."""
        received = self.received(slug)
        graded = [self.graded(slug, one.exercise) for one in received.exercises]
        kept = graded if sources else [Graded(g.exercise, g.scorecard, g.problem) for g in graded]
        return Result(received, tuple(kept))

    def copy_to_earlier(self, slug: str) -> None:
        """Copy a candidate's results to earlier/<n>, completely or not at all."""
        place = self.candidate(slug)
        if not any((place / "parts").glob("*.json")):
            return
        earlier = place / "earlier"
        new = earlier / f".{os.getpid()}{_NEW}"
        try:
            _copy_results(place, new)
            new.rename(_next_number(earlier))
        except OSError as error:
            raise unwritable(earlier, error) from None
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _copy_results(place: Path, new: Path) -> None:
    (new / "parts").mkdir(parents=True)
    for path in [place / name for name in (CANDIDATE, *MADE_FILES)]:
        if path.exists():
            shutil.copy2(path, new / path.name)
    for path in (place / "parts").glob("*.json"):
        shutil.copy2(path, new / "parts" / path.name)


def _next_number(earlier: Path) -> Path:
    numbers = [int(p.name) for p in earlier.iterdir() if p.name.isascii() and p.name.isdigit()]
    return earlier / str(max(numbers, default=0) + 1)
