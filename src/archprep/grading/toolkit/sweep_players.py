"""Plays programs in batches; a crash or a hang is attributed to the program that caused it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading.toolkit.sweep_spec import Program, Sweep, Trace
from archprep.sandbox.fakes import exposed, fake

MOST_CRASHES = 12  # after which the remaining programs are not played


@dataclass(frozen=True, slots=True)
class Crash:
    """A program that ended its scenario instead of leading to a trace."""

    error: CandidateError

    @property
    def hangs(self) -> bool:
        """Whether the scenario ran out of time."""
        return self.error.reason is Reason.TIMEOUT

    @property
    def is_final(self) -> bool:
        """Whether more programs, or smaller ones, are not worth their time.

        A hang costs the seconds of a whole scenario, and code that is not written yet says so.
        """
        return self.hangs or self.error.exception == NotImplementedError.__name__


Outcome = Trace | Crash | None  # None: not played, after too many crashes


class Observer(Protocol):
    """Plays probes on one answer: a candidate's, or one of ours."""

    def observe(self, probe: str, /, **inputs: Any) -> Any:
        """Play a probe in a fresh process; CandidateError if the answer's code fails."""


class Traces:
    """The judge's end of a batch: receives a trace after each program."""

    def __init__(self) -> None:
        self.received: list[Outcome] = []

    @exposed
    def add(self, trace: Trace) -> None:
        """Receive the trace of the next program."""
        self.received.append(trace)


@dataclass(slots=True)
class Player:
    """Plays programs on one answer until one crashes for good, or too many crash."""

    observer: Observer
    spec: Sweep
    crashes: int = field(default=0, init=False)
    ended: bool = field(default=False, init=False)  # by a final crash

    def play(self, programs: Sequence[Program]) -> list[Outcome]:
        """Return an outcome for each program, in order."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(programs) and not self._given_up:
            outcomes += self._batch(programs[len(outcomes) : len(outcomes) + self.spec.batch])
        return outcomes + [None] * (len(programs) - len(outcomes))

    @property
    def _given_up(self) -> bool:
        return self.ended or self.crashes >= MOST_CRASHES

    def _batch(self, programs: Sequence[Program]) -> list[Outcome]:
        """Play in one scenario; return outcomes up to and including a program that ends it."""
        traces, error = Traces(), None
        try:
            self.observer.observe(self.spec.probe, programs=programs, traces=fake(traces))
        except CandidateError as e:
            error = e
        outcomes = traces.received[: len(programs)]
        if error is None and len(outcomes) < len(programs):
            error = CandidateError(Reason.PROTOCOL, f"returned only {len(outcomes)} traces")
        if error is not None:
            crash = Crash(error)
            outcomes = [*outcomes[: len(programs) - 1], crash]
            self.crashes += 1
            self.ended = crash.is_final
        return outcomes
