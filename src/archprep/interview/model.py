"""The values that pass between the modules of an interview. Frozen; no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archprep.core.model import Isolation, Scorecard
from archprep.workspace.submission import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES

FORMAT = 1  # of everything in a results folder, and of a kit's manifest
NOT_GRADED = "not graded: "  # begins the problem of a part for which the candidate is not to blame


@dataclass(frozen=True, slots=True)
class KitExercise:
    """An exercise as it was handed out; `digest` is that of the files in its folder."""

    id: str
    folder: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class KitLimits:
    """What may be handed in for one exercise."""

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


@dataclass(frozen=True, slots=True)
class Part:
    """One exercise of what a candidate has handed in: a folder that can be frozen."""

    exercise: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Received:
    """What one candidate has handed in, before anything of it is graded.

    Every text is cleaned. `flags` are sentences about it, such as "late by 12 min". `reported` is
    what the candidate's own machine says: it may be anything. With a `problem` there are no parts.
    """

    name: str
    slug: (
        str  # of the name, unique in a batch: letters, digits and "-"; names the folder of results
    )
    source: str  # the file or folder among the submissions
    received_at: str  # ISO 8601, UTC, by the grader's own machine
    digest: str  # sha256 of the bytes handed in
    parts: tuple[Part, ...] = ()
    kit: Kit | None = None
    flags: tuple[str, ...] = ()
    reported: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    superseded: tuple[str, ...] = ()  # sources of the same candidate that were received earlier


@dataclass(frozen=True, slots=True)
class Graded:
    """What came of one exercise: a scorecard, or why there is none."""

    exercise: str
    scorecard: Scorecard | None = None
    problem: str | None = None
    source: dict[str, str] = field(
        default_factory=dict
    )  # the submission's files as they were graded

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
        """Points that could be earned: a hundred for each exercise asked for."""
        return 100 * len(self.graded)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is the same for all candidates of a results folder."""

    seed: int
    created_at: str
    archprep_version: str
    isolation: Isolation
    format: int = FORMAT
