"""The complete results of one candidate, read tolerantly: missing and damaged files are expected.

Nothing is written, and no lock is taken: `archprep grade` may be running.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.model import NOT_GRADED, Graded, Received, Result
from archprep.interview.results.results_folder import ResultsFolder
from archprep.interview.text import shown

NOT_YET = "`archprep grade` has not graded it yet"  # the problem of an exercise without a file
CANDIDATE_FILE = "candidate.json"

# Labels for what is wrong with the files, not with the submission.
WAITING = "waiting"
DAMAGED = "damaged"

_EXERCISE = re.compile(r"q[1-9][0-9]{0,5}")
_NOT_RECEIVED = "The submission has not been recorded yet."


def read_result(folder: ResultsFolder, slug: str) -> Result:
    """Everything about a candidate, including evidence and source."""
    received, _ = read_received(folder, slug)
    graded = (read_graded(folder, slug, part.exercise) for part in received.exercises)
    return Result(received, tuple(graded))


def read_received(folder: ResultsFolder, slug: str) -> tuple[Received, str]:
    """The submission of a candidate, and WAITING or DAMAGED if its file cannot be read."""
    try:
        return _valid_received(folder, slug), ""
    except UsageError as error:
        if not any(_exists(folder.candidate(slug) / name) for name in (CANDIDATE_FILE, "parts")):
            return Received(slug, slug, "", "", "", problem=_NOT_RECEIVED), WAITING
        problem = _relative(folder, error.message)
        return Received(slug, slug, "", "", "", problem=problem), DAMAGED


def read_graded(folder: ResultsFolder, slug: str, exercise: str) -> Graded:
    """The result of an exercise; with a problem if its file is missing or damaged."""
    graded = folder.graded(slug, exercise)
    if graded.scorecard is None and not _exists(folder.graded_file(slug, exercise)):
        return Graded(exercise, problem=NOT_YET)
    return replace(graded, problem=graded.problem and _relative(folder, graded.problem))


def is_candidates_fault(graded: Graded) -> bool:
    """Whether there is no scorecard because of what the candidate submitted."""
    problem = graded.problem or NOT_YET
    return problem != NOT_YET and not problem.startswith(NOT_GRADED)


def _valid_received(folder: ResultsFolder, slug: str) -> Received:
    with contextlib.suppress(TypeError):  # "exercises" may be anything but a list
        received = folder.received(slug)
        names = [part.exercise for part in received.exercises]
        # Both become part of paths and links.
        if received.slug == slug and all(map(_EXERCISE.fullmatch, names)):
            return received
    path = shown(folder.candidate(slug) / CANDIDATE_FILE)
    raise UsageError(f"{path} is damaged: `archprep grade` did not write it like this.")


def _relative(folder: ResultsFolder, message: str) -> str:
    """The message with paths relative to the results folder."""
    return message.replace(f"{shown(folder.root)}/", "")


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


# ------------------------------------------------------------------ earlier gradings


def read_earlier(folder: ResultsFolder, slug: str) -> list[tuple[int, Result]]:
    """The readable earlier gradings of a candidate, newest first, without source."""
    found = ((n, read_result(_EarlierFolder(path), slug)) for n, path in _numbered(folder, slug))
    return [(n, _without_source(result)) for n, result in found if _is_readable(result)]


def read_one_earlier(folder: ResultsFolder, slug: str, number: int) -> Result:
    """One earlier grading with source; KeyError if it does not exist or cannot be read."""
    path = dict(_numbered(folder, slug))[number]
    result = read_result(_EarlierFolder(path), slug)
    if not _is_readable(result):
        raise KeyError(number)
    return result


class _EarlierFolder(ResultsFolder):
    """One earlier grading, whose root is also the folder of its only candidate."""

    def candidate(self, slug: str) -> Path:  # noqa: ARG002
        return self.root


def _numbered(folder: ResultsFolder, slug: str) -> list[tuple[int, Path]]:
    earlier = folder.candidate(slug) / "earlier"
    with contextlib.suppress(OSError):
        found = [path for path in earlier.iterdir() if path.name.isascii() and path.name.isdigit()]
        return sorted(((int(path.name), path) for path in found), reverse=True)
    return []


def _is_readable(result: Result) -> bool:
    return any(graded.scorecard or is_candidates_fault(graded) for graded in result.graded)


def _without_source(result: Result) -> Result:
    graded = (Graded(g.exercise, g.scorecard, g.problem) for g in result.graded)
    return Result(result.received, tuple(graded))
