"""One candidate as the list shows it: small enough to keep a thousand of them in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.model import Reason
from archprep.interview.model import Graded, Result
from archprep.interview.results.json_format import lacks_verdicts
from archprep.interview.results.results_folder import ResultsFolder
from archprep.report import wording
from archprep.review.candidate_results import (
    CANDIDATE_FILE,
    DAMAGED,
    NOT_YET,
    WAITING,
    is_candidates_fault,
    read_graded,
    read_received,
)
from archprep.review.graded_summary import decode_summary, summarize

LABELS = ("late", "time-out", "broken", "weaker isolation", "not scored", WAITING, DAMAGED)

_LATE = "late by"  # the beginning of a flag

Signature = tuple[int, ...] | None  # of a file; None if it does not exist


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate without evidence, files, source and what the candidate's machine reported.

    `labels` are those of LABELS that apply, `seconds` is the time that grading all exercises took.
    """

    slug: str
    result: Result
    labels: frozenset[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class CachedRow:
    """A row with the signatures of its files, taken before they were read."""

    row: CandidateRow
    files: tuple[tuple[str, Signature], ...]

    def is_fresh(self) -> bool:
        """Whether no file has changed since."""
        return all(_signature(path) == signature for path, signature in self.files)


def read_row(folder: ResultsFolder, slug: str) -> CachedRow:
    """Read the files of a candidate."""
    files = [_signed(folder.candidate(slug) / CANDIDATE_FILE)]
    received, trouble = read_received(folder, slug)
    troubles, summaries = {trouble}, []
    for part in received.exercises:
        path = folder.graded_file(slug, part.exercise)
        files.append(_signed(path))
        summary, trouble = _read_summary(folder, slug, part.exercise, path)
        summaries.append(summary)
        troubles.add(trouble)
    result = Result(replace(received, reported={}), tuple(summaries))
    seconds = sum((g.scorecard.duration_s for g in summaries if g.scorecard), 0.0)
    return CachedRow(CandidateRow(slug, result, _labels(result, troubles), seconds), tuple(files))


def _read_summary(
    folder: ResultsFolder, slug: str, exercise: str, path: Path
) -> tuple[Graded, str]:
    """The summary of an exercise, and WAITING or DAMAGED if its file cannot be read."""
    try:
        return decode_summary(path.read_bytes(), exercise), ""
    except (OSError, UsageError):
        # Damaged, or with text that is not valid Unicode: the full decoder decides.
        graded = read_graded(folder, slug, exercise)
    if graded.problem == NOT_YET:
        return graded, WAITING
    return summarize(graded), DAMAGED if lacks_verdicts(graded) and not graded.scorecard else ""


def _labels(result: Result, troubles: set[str]) -> frozenset[str]:
    """The labels that apply; `troubles` are those of archprep's own files."""
    received = result.received
    is_broken = bool(received.problem) and troubles == {""}
    cards = [graded.scorecard for graded in result.graded if graded.scorecard]
    applies = {
        "late": any(flag.startswith(_LATE) for flag in received.flags),
        "time-out": any(c.reason == Reason.TIMEOUT for card in cards for c in card.criteria),
        "broken": is_broken or any(is_candidates_fault(graded) for graded in result.graded),
        "weaker isolation": any(wording.is_weak(card.isolation) for card in cards),
        "not scored": any(lacks_verdicts(graded) for graded in result.graded),
        WAITING: WAITING in troubles,
        DAMAGED: DAMAGED in troubles,
    }
    return frozenset(label for label in LABELS if applies[label])


def _signed(path: Path) -> tuple[str, Signature]:
    text = str(path)
    return text, _signature(text)


def _signature(path: str) -> Signature:
    try:
        found = os.stat(path)  # noqa: PTH116 - creating thousands of Path objects takes longer
    except FileNotFoundError:
        return None
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
