"""The values that pass between the modules of an interview: frozen, without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archprep.core.model import Isolation, Scorecard
from archprep.workspace.submission import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES

FORMAT = 1  # of every file in a results folder, and of a kit's manifest
NOT_GRADED = "not graded: "  # starts a problem that is not the candidate's fault
CLOCK_FILE = ".archprep-begun.json"  # in a kit's folder, written by `archprep begin`
REPORT_FILE = "archprep-submission.json"  # in a submission, written by `archprep submit`


@dataclass(frozen=True, slots=True)
class KitExercise:
    """An exercise as it was handed out; `digest` covers the files in its folder.

    `tasks` are the tasks that were asked for; () for all.
    """

    id: str
    folder: str
    version: int
    digest: str
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KitLimits:
    """How much may be submitted for one exercise."""

    files: int = MAX_FILES
    file_bytes: int = MAX_FILE_BYTES
    total_bytes: int = MAX_TOTAL_BYTES


@dataclass(frozen=True, slots=True)
class Kit:
    """What a candidate was given: the signed part of a kit's manifest."""

    candidate: str
    minutes: int
    made_at: str  # ISO 8601, UTC
    archprep_version: str
    exercises: tuple[KitExercise, ...]
    limits: KitLimits = KitLimits()
    format: int = FORMAT
    id: str = ""  # of this one kit; this and `python` are empty in kits of earlier versions
    python: str = ""  # that grades it, such as "3.11"


@dataclass(frozen=True, slots=True)
class SubmittedExercise:
    """One exercise of a submission, with the folder to freeze, and the tasks asked for."""

    exercise: str
    directory: Path
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """What one candidate submitted, before anything of it is graded.

    All text is sanitized. `flags` are remarks such as "late by 12 min". `reported` is what the
    candidate's own machine claims: it may be anything. With a `problem` there are no exercises.
    """

    name: str
    slug: str  # unique in a batch: letters, digits and "-"; names the folder of results
    source: str  # the zip or folder that was received
    received_at: str  # ISO 8601, UTC, by the clock of the grading machine
    digest: str  # sha256 of the bytes that were submitted
    exercises: tuple[SubmittedExercise, ...] = ()
    kit: Kit | None = None
    flags: tuple[str, ...] = ()
    reported: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    superseded: tuple[str, ...] = ()  # earlier sources from the same candidate


@dataclass(frozen=True, slots=True)
class Graded:
    """The outcome of one exercise: a scorecard, or the problem that prevented one."""

    exercise: str
    scorecard: Scorecard | None = None
    problem: str | None = None
    source: dict[str, str] = field(default_factory=dict)  # the files as they were graded
    worth: int = 100  # points that could be earned
    notes: tuple[str, ...] = ()  # for the interviewer: what an honest answer does not need

    @property
    def possible(self) -> int:
        """Points that could be earned."""
        card = self.scorecard
        return card.max_score if card and card.selection else self.worth

    @property
    def why(self) -> str:
        """The problem as a sentence that follows "not graded"; empty without one."""
        return (self.problem or "").removeprefix(NOT_GRADED)


@dataclass(frozen=True, slots=True)
class Result:
    """Everything about one candidate."""

    received: Received
    graded: tuple[Graded, ...]

    @property
    def score(self) -> int:
        """Points earned in all exercises."""
        return sum(g.scorecard.score for g in self.graded if g.scorecard)

    @property
    def max_score(self) -> int:
        """Points that could be earned: 100 for each exercise, less for some of its tasks."""
        return sum(graded.possible for graded in self.graded)


@dataclass(frozen=True, slots=True)
class Batch:
    """What all candidates in a results folder have in common."""

    seed: int
    created_at: str
    archprep_version: str
    isolation: Isolation
    format: int = FORMAT
