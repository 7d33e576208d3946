"""The exceptions that become a message and an exit code, in one tree.

ArchprepError
├── UsageError          the user must change the command or a file      exit 2
├── ContentError        archprep or one of its exercises is at fault    exit 3
└── CandidateError      what the candidate's code did (never exits: it is scored)

`cli.main` is the one place that turns them into text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archprep.core.model import Frame, Reason


class Exit(IntEnum):
    """Exit codes of every command."""

    PASSED = 0
    NOT_PASSED = 1
    USAGE = 2
    INTERNAL = 3
    INTERRUPTED = 130


class ArchprepError(Exception):
    """Base of all errors that have a sentence for the user.

    `tip` says what to do next, in one line.
    """

    exit_code = Exit.INTERNAL

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip


class UsageError(ArchprepError):
    """The user must change the command, a file or the machine."""

    exit_code = Exit.USAGE


class ContentError(ArchprepError):
    """archprep or an exercise is at fault; the candidate is not marked down."""

    exit_code = Exit.INTERNAL


class GraderFault(Exception):  # noqa: N818 - it says whose fault it is
    """Part of an exercise failed: the criterion is a grader_error, and this text its reason."""


@dataclass(eq=False)
class CandidateError(Exception):
    """The candidate's code ended a scenario: a fact to score, not a fault of ours.

    `message` is already cleaned. `exception` is the type's name where one was raised.
    """

    reason: Reason
    message: str
    exception: str | None = None
    frames: tuple[Frame, ...] = ()
    output: str = ""
    given: str | None = None  # the drawn input, in words

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
