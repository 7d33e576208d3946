"""The values that pass between the modules. Frozen; no behaviour beyond derived figures."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

MAX_SEED = 2**63 - 1  # the largest that SQLite stores
GRADED_WITH = (
    f"{sys.version_info.major}.{sys.version_info.minor}"  # the Python of judge and sandbox
)
FORMAT = 2  # of the scorecard's JSON; see docs/result-format.md


def percent(score: int, max_score: int) -> int:
    """Return a score as a percentage, rounded: 100 only for all points."""
    rounded = round(100 * score / max_score) if max_score else 0
    return rounded if score >= max_score else min(rounded, 99)


class State(StrEnum):
    """What became of one criterion."""

    PASSED = "passed"
    FAILED = "failed"
    CANDIDATE_ERROR = "candidate_error"
    BLOCKED = "blocked"
    GRADER_ERROR = "grader_error"


class Reason(StrEnum):
    """Why a scenario ended without an observation."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASH = "crash"
    PROTOCOL = "protocol"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one scenario may use."""

    seconds: float = 4.0
    memory_mb: int = 1024
    processes: int = 32
    output_kb: int = 1024
    files_mb: int = 64


@dataclass(frozen=True, slots=True)
class Task:
    """A step of an exercise; `needs` are the numbers of the tasks it builds on.

    `minutes` is None in an exercise that states its time as a whole only.
    """

    number: int
    title: str
    needs: tuple[int, ...] = ()
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Runnable:
    """What `archprep run` starts: an ASGI app, e.g. service:app, or a DAG, by its id."""

    app: str | None = None
    dag: str | None = None
    logical_date: str | None = None  # of the DAG's run; None: what its schedule says
    variables: dict[str, Any] = field(default_factory=dict)  # that the DAG reads


@dataclass(frozen=True, slots=True)
class Exercise:
    """One question: its manifest and its three folders."""

    id: str
    title: str
    section: str
    difficulty: str
    minutes: int  # for all selected tasks
    version: int
    summary: str
    tasks: tuple[Task, ...]
    entry: tuple[str, ...]  # files the candidate writes; their modules are imported first
    packages: tuple[str, ...]  # what a candidate installs to run the starter
    preload: tuple[str, ...]  # modules the fork server imports
    limits: Limits
    run: Runnable | None  # None: there is nothing to try it on but the examples
    stack: str | None  # libraries that need more than an import: "airflow"
    side_by_side: int  # scenarios that may run at the same time
    folder: str  # e.g. q01_event_bus
    brief_dir: Path = field(repr=False)
    solution_dir: Path = field(repr=False)
    grader_dir: Path = field(repr=False)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by rule: where it holds
    core: tuple[int, ...] = ()  # the tasks that fit an interview of an hour; () if none is named
    selection: tuple[int, ...] = ()  # the tasks that are worked on; () for all

    @property
    def number(self) -> int:
        """The question's number: 3 for q3."""
        return int(self.id[1:])

    @property
    def selected_tasks(self) -> tuple[Task, ...]:
        """The tasks that are worked on."""
        return tuple(t for t in self.tasks if not self.selection or t.number in self.selection)

    @property
    def core_minutes(self) -> int:
        """The minutes of the core; of the whole exercise if no core is named."""
        core = [t.minutes or 0 for t in self.tasks if t.number in self.core]
        return sum(core) or self.minutes


@dataclass(frozen=True, slots=True)
class SubmittedFile:
    """One file of a submission; `path` is relative, with forward slashes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A frozen, hashed copy of a workspace. `root` is the staged copy, read-only."""

    root: Path
    digest: str
    files: tuple[SubmittedFile, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One of the candidate's own stack frames."""

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows a verdict: the drawn input, the candidate's frames and prints.

    `given` is the concrete input as text, `difference` says where expected and observed part.
    """

    given: str | None = None
    difference: str | None = None
    message: str | None = None
    frames: tuple[Frame, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """The rule of the brief that a criterion found broken, and where, if it holds in places."""

    rule: str  # such as 1.3
    text: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """The verdict on one graded behaviour."""

    id: str
    title: str
    task: int
    points: int
    earned: int
    state: State
    reason: str | None = None  # a Reason, or why it is blocked or not scored
    expected: str | None = None
    observed: str | None = None
    evidence: Evidence = Evidence()
    hint: str | None = None  # where to look: the first hint
    duration_s: float = 0.0
    programs: int = 0  # random programs played, if the criterion is a sweep
    rules: tuple[str, ...] = ()  # of the brief, that it grades; in format 1 there are none
    broken: BrokenRule | None = None

    @property
    def lost(self) -> bool:
        """Whether its points are lost; a fault of ours is not scored."""
        return self.state not in (State.PASSED, State.GRADER_ERROR)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Points of one task."""

    number: int
    title: str
    points: int
    earned: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """The isolation in force, as tested, not as configured.

    `selftest` maps a breach to "blocked", "NOT blocked" or "not tested".
    """

    level: str  # "A", "A-root" or "D"
    tool: str
    kernel: str
    uid: int
    seccomp: bool
    selftest: dict[str, str]
    sentence: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The result of one attempt."""

    exercise: str
    title: str
    exercise_version: int
    archprep_version: str
    seed: int
    started_at: str  # ISO 8601, UTC
    duration_s: float
    isolation: Isolation
    submission: Submission
    tasks: tuple[TaskResult, ...]
    criteria: tuple[CriterionResult, ...]
    python: str = ""  # that ran the code, such as "3.11"; empty in earlier scorecards
    partial: bool = False  # only some criteria were asked for (--task, --criterion)
    selection: tuple[int, ...] = ()  # the tasks that were worked on; () for all
    format: int = FORMAT

    @property
    def score(self) -> int:
        """Points earned."""
        return sum(c.earned for c in self.criteria)

    @property
    def max_score(self) -> int:
        """Points that could be earned in this run."""
        return sum(c.points for c in self.criteria)

    @property
    def percent(self) -> int:
        """Points earned as a percentage of those that could be."""
        return percent(self.score, self.max_score)

    @property
    def short_score(self) -> str:
        """The points, such as "73"; of a part also what it is worth: "44/52, 85 %"."""
        if self.max_score == 100:
            return str(self.score)
        return f"{self.score}/{self.max_score}, {self.percent} %"

    @property
    def passed(self) -> bool:
        """Whether every criterion that was asked for passed."""
        return all(c.state is State.PASSED for c in self.criteria)

    @property
    def scored(self) -> bool:
        """False when a fault of ours left a criterion without a verdict."""
        return all(c.state is not State.GRADER_ERROR for c in self.criteria)
