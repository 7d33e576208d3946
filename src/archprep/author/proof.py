"""What a proof consists of: jobs to do, what came of them, what is to be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from archprep.core.errors import Exit
from archprep.core.model import Exercise, Scorecard


class Kind(StrEnum):
    """What a job shows of an exercise."""

    STARTER = "starter"
    STUB = "stub"
    REFERENCE = "reference"
    RIGHT = "right answer"  # written differently from the reference, and as good
    WRONG = "wrong answer"
    FORGED = "forged observations"
    EXAMPLES = "public examples"


@dataclass(frozen=True, slots=True)
class Job:
    """Something to grade or run: `files` lie over those of the starter."""

    exercise: Exercise
    kind: Kind
    name: str
    seed: int
    files: Mapping[str, str] = field(repr=False)
    rounds: int = 1  # of forging


@dataclass(frozen=True, slots=True)
class Examples:
    """What plain pytest said of the public examples."""

    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `fault` is the sentence where it could not be done."""

    job: Job
    cards: tuple[Scorecard, ...] = ()
    examples: Examples | None = None
    fault: str | None = None

    @property
    def card(self) -> Scorecard:
        """The scorecard of a job that has one."""
        return self.cards[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """What an author must change: the file, and a sentence with expected and observed."""

    exercise: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}" if self.file else self.message


@dataclass(frozen=True, slots=True)
class Proven:
    """What was done to one exercise, and what is not as it should be."""

    exercise: Exercise
    findings: tuple[Finding, ...]
    counts: Mapping[Kind, int]  # of what was graded or run
    criteria: int

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of `archprep author check`."""

    exercises: tuple[Proven, ...]
    seed: int
    seconds: float
    isolation: str

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, by exercise."""
        return tuple(f for proven in self.exercises for f in proven.findings)

    @property
    def exit_code(self) -> Exit:
        """0 when all is proven; 3 when content is at fault."""
        return Exit.INTERNAL if self.findings else Exit.PASSED
