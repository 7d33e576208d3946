"""Plays programs one at a time, for shrinking: what comes next depends on what came before."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import Self

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading.toolkit.sweep_players import Crash, Observer
from archprep.grading.toolkit.sweep_spec import Program, Sweep, Trace
from archprep.sandbox.fakes import exposed, fake


class Feed:
    """The judge's end of a scenario: hands out one program at a time, and receives its trace.

    Each program that is handed out leads to exactly one outcome, whatever the probe calls.
    """

    def __init__(self) -> None:
        self.programs: SimpleQueue[Program | None] = SimpleQueue()
        self.outcomes: SimpleQueue[Trace | Crash | BaseException] = SimpleQueue()
        self._awaited = False

    @exposed
    def next(self) -> Program | None:
        """Return the next program as soon as there is one; None at the end."""
        if self._awaited:
            self._answer(Crash(CandidateError(Reason.PROTOCOL, "returned no trace")))
        program = self.programs.get()
        self._awaited = program is not None
        return program

    @exposed
    def add(self, trace: Trace) -> None:
        """Receive the trace of the program that was handed out last."""
        if self._awaited:
            self._answer(trace)

    def _answer(self, outcome: Trace | Crash) -> None:
        self._awaited = False
        self.outcomes.put(outcome)


class LivePlayer:
    """Plays each program as soon as it is known, many in one scenario.

    A scenario costs far more than a small program. Use as a context manager.
    """

    def __init__(self, observer: Observer, spec: Sweep) -> None:
        self._observer = observer
        self._spec = spec
        self._feed: Feed | None = None
        self._thread: Thread | None = None
        self._left = 0  # programs, before the next scenario

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def begin(self, program: Program) -> None:
        """Have a program played; `outcome` waits for it."""
        if self._left == 0:
            self._end()
        if self._feed is None:
            self._start()
        assert self._feed is not None
        self._feed.programs.put(program)
        self._left -= 1

    def outcome(self) -> Trace | Crash:
        """Return what came of the program; an exception that is no candidate's is raised."""
        assert self._feed is not None
        outcome = self._feed.outcomes.get()
        if isinstance(outcome, Trace):
            return outcome
        self._end()
        if isinstance(outcome, Crash):
            return outcome
        raise outcome

    def _start(self) -> None:
        self._feed, self._left = Feed(), self._spec.batch
        self._thread = Thread(target=self._observe, args=[self._feed], daemon=True)
        self._thread.start()

    def _observe(self, feed: Feed) -> None:
        ended: Crash | BaseException
        try:
            self._observer.observe(self._spec.probe, programs=fake(feed), traces=fake(feed))
            ended = Crash(CandidateError(Reason.PROTOCOL, "returned no trace"))
        except CandidateError as e:
            ended = Crash(e)
        except BaseException as e:  # noqa: BLE001 - it is raised where the outcome is awaited
            ended = e
        feed.outcomes.put(ended)

    def _end(self) -> None:
        if self._feed is not None and self._thread is not None:
            self._feed.programs.put(None)
            self._thread.join()
        self._feed = self._thread = None
