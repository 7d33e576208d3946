"""What a proof consists of: jobs, their results, and the findings drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from archprep.core.errors import Exit
from archprep.core.model import CriterionResult, Exercise, Scorecard
from archprep.grading.process_pool import Workers

if TYPE_CHECKING:
    from archprep.author.mutation import Verdicts
    from archprep.grading.toolkit.sweep_jury import Verdict

Progress = Callable[[int, int, str], None]  # jobs done, jobs in all, the exercise


class JobKind(StrEnum):
    """What a job grades or runs."""

    STARTER = "starter"
    STUB = "stub"
    REFERENCE = "reference"
    RIGHT = "right answer"  # correct, but written differently from the reference
    WRONG = "wrong answer"
    SWEEP = "sweep"  # played with the reference and the right answers, to examine it
    MUTANT = "mutant"  # graded until it loses something
    FORGED = "forged observations"
    EXAMPLES = "public examples"


class Extent(StrEnum):
    """How much of an exercise is proven."""

    SAMPLE = "sample"  # a drawn sample of the wrong answers and stubs
    FULL = "full"
    RECEIPT = "receipt"  # nothing: this machine has proven the same exercise in full before


@dataclass(frozen=True, slots=True)
class Job:
    """One answer to grade, or a workspace in which to run the public examples.

    `files` replace those of the starter.
    """

    exercise: Exercise
    kind: JobKind
    name: str
    seed: int
    files: Mapping[str, str] = field(repr=False)
    rounds: int = 1  # of forging
    criterion: str = ""  # the sweep to examine
    programs: int = 0  # to play in it; 0: as many as a check does
    against: tuple[str, ...] = ()  # right answers to hold against the reference


@dataclass(frozen=True, slots=True)
class PytestResult:
    """The exit code and output of pytest on the public examples."""

    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What playing a task's sweep with right answers showed."""

    task: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job; `error` says why there is none."""

    job: Job
    cards: tuple[Scorecard, ...] = ()
    examples: PytestResult | None = None
    error: str | None = None
    survey: Survey | None = None

    @property
    def card(self) -> Scorecard:
        """The scorecard of a job that grades once."""
        return self.cards[0]


Pool = Workers[Job, JobResult]


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect of an exercise: the file to change, and what is expected and observed."""

    exercise: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}" if self.file else self.message


@dataclass(frozen=True, slots=True)
class ExerciseProof:
    """The findings about one exercise, and how much was graded to get them.

    `draft`: right answers and mutants were left out.
    """

    exercise: Exercise
    findings: tuple[Finding, ...]
    counts: Mapping[JobKind, int]
    criteria: tuple[CriterionResult, ...]
    extent: Extent
    seconds: float
    surveys: tuple[Survey, ...] = ()
    mutants: Verdicts | None = None
    broken: frozenset[str] = frozenset()  # rules, by the wrong answers that were graded
    draft: bool = False

    @property
    def sound(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of `archprep author check`."""

    exercises: tuple[ExerciseProof, ...]
    seed: int
    seconds: float
    isolation: str

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by exercise."""
        return tuple(f for proof in self.exercises for f in proof.findings)

    @property
    def exit_code(self) -> Exit:
        """0 if all exercises are proven, 3 if there are findings."""
        return Exit.INTERNAL if self.findings else Exit.PASSED
