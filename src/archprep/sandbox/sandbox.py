"""The trusted side of the boundary: starts the warm parent, plays scenarios, kills what overstays.

What comes back is an observation (a claim, not a fact) or a CandidateError. Time, memory,
processes and output are watched from here, by this side's clock.
"""

from __future__ import annotations

import os
import selectors
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from archprep.core.errors import CandidateError
from archprep.core.model import Limits, Reason, Submission
from archprep.core.sanitize import sanitize
from archprep.sandbox import failures, isolation, processes
from archprep.sandbox.control_channel import ForkServerError, ScenarioProcess
from archprep.sandbox.fork_server import BootConfig, ForkServer
from archprep.sandbox.scenario_channel import WATCH_EVERY, DeadlineError, Refuse, ScenarioChannel
from archprep.worker import protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from archprep.core.model import Frame
    from archprep.sandbox.sockets import Endpoint

__all__ = ["BootConfig", "Observation", "Refuse", "RunningScenario", "Sandbox", "Scenario"]

LAST_WORDS = 0.3  # seconds for one that has hung up to end by itself
IMPORT_SECONDS = 4.0  # after which a server that is still being imported will never serve
SHOWN_OUTPUT = 4000  # characters of a candidate's prints that are kept


@dataclass(frozen=True, slots=True)
class Scenario:
    """One probe with its inputs and the judge's objects it may call."""

    probe: str
    inputs: dict[str, Any]
    fakes: dict[str, Any]
    limits: Limits
    told: dict[str, tuple[str, ...]] = field(default_factory=dict)  # methods that are not answered
    # Sockets the judge made: their descriptors go with the request, and the judge keeps none.
    listeners: list[socket.socket] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    warmed: bool = False  # after the first use of the exercise's stack


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe returned, a claim, and what was printed meanwhile, cleaned."""

    value: Any
    output: str


class RunningScenario:
    """A scenario under way in a thread, while the judge is a client of what it serves."""

    def __init__(self, ending: Future[Observation], exchange: ScenarioChannel) -> None:
        self._ending = ending
        self._exchange = exchange
        self._began = time.monotonic()

    def fate(self, patience: float) -> CandidateError | None:
        """What it has ended with by itself, or does within so many seconds."""
        if not wait([self._ending], patience).done:
            return self._import_hangs()
        try:
            self._ending.result()
        except CandidateError as e:
            return e
        return CandidateError(Reason.CRASH, "the server ended by itself")

    def result(self) -> Observation:
        """End it, or raise what it has ended with by itself."""
        self._exchange.stop()
        return self._ending.result()

    def _import_hangs(self) -> CandidateError | None:
        took = time.monotonic() - self._began
        if self._exchange.imported or took < IMPORT_SECONDS:
            return None
        return failures.too_long(round(took, 1), imported=False)


class Sandbox:
    """What runs a submission; use as a context manager.

    `stage` is the folder that is shown inside: the submission's own, or one above it in which
    later submissions of the same candidate will lie (`renew`). `at_once` threads may play
    scenarios at the same time.
    """

    def __init__(
        self,
        profile: isolation.Profile,
        boot: BootConfig,
        submission: Submission,
        seccomp: bytes,
        stage: Path | None = None,
        at_once: int = 1,
    ) -> None:
        self.profile = profile
        self._at_once = at_once
        self._submission = submission
        self._parent = ForkServer(profile, boot, stage or submission.root, seccomp)
        self._spare: ScenarioProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process to look under for all that runs in the sandbox."""
        return self._parent.pid

    def start(self) -> None:
        """Start the warm parent and do not wait: it boots while the judge imports."""
        self._parent.start()

    def prepare(self, limits: Limits) -> None:
        """Have a process with these limits ready for the first scenario; does not wait."""
        self._dismiss_spare()
        self._order_spare(limits)

    def renew(self, submission: Submission) -> None:
        """Go on with another submission of the same candidate, in the same stage."""
        self._submission = submission
        self.rest()

    def rest(self) -> None:
        """Let nothing of the candidate's run while nothing is graded."""
        self._dismiss_spare()

    def close(self) -> None:
        """Kill everything in the sandbox and forget it."""
        self._parent.close()
        self._dismiss_spare()

    def run(self, scenario: Scenario) -> Observation:
        """Play one scenario in a fresh process; return what was observed.

        Raises CandidateError for whatever the candidate's code did instead, ContentError
        when the sandbox itself failed.
        """
        with self._worker(scenario) as (worker, exchange):
            return self._play(scenario, worker, exchange)

    @contextmanager
    def playing(self, scenario: Scenario) -> Iterator[RunningScenario]:
        """Play one scenario in a thread, and end it with the block."""
        with self._worker(scenario) as (worker, exchange), ThreadPoolExecutor(1) as thread:
            ending = thread.submit(self._play, scenario, worker, exchange)
            try:
                yield RunningScenario(ending, exchange)
            finally:
                exchange.stop()

    @contextmanager
    def _worker(self, scenario: Scenario) -> Iterator[tuple[ScenarioProcess, ScenarioChannel]]:
        try:
            worker = self._take(scenario)
            deadline = time.monotonic() + scenario.limits.seconds
            try:
                watch = partial(self._check_memory, worker)
                yield worker, ScenarioChannel(worker.channel, scenario.fakes, deadline, watch)
            finally:
                worker.close()
        except ForkServerError as e:
            raise self._parent.failure(str(e)) from None

    def _take(self, scenario: Scenario) -> ScenarioProcess:
        """Return a waiting process with these limits: the spare one, or a new one."""
        warmed, limits = scenario.warmed, scenario.limits
        self._parent.make_ready(warmed=warmed)
        spare = self._spare
        fits = spare is not None and spare.limits == limits and not warmed
        if spare is not None and fits and not (spare.lost or spare.refused):
            self._spare = None
            return spare
        self._dismiss_spare()
        self._parent.make_ready(warmed=warmed)
        return self._parent.order(limits, self._submission, warmed=warmed)

    def _order_spare(self, limits: Limits) -> None:
        if self._at_once == 1:  # else the processors are busy with the others
            self._spare = self._parent.order(limits, self._submission)

    def _dismiss_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            self._parent.end(spare)
            spare.close()

    def _play(
        self, scenario: Scenario, worker: ScenarioProcess, exchange: ScenarioChannel
    ) -> Observation:
        status, patience = None, 0.0
        try:
            try:
                self._converse(scenario, worker, exchange)
                patience = 0.0 if exchange.answer or exchange.stopped else LAST_WORDS
            finally:
                status = self._parent.end(worker, patience)
                _drain(worker)
            if worker.refused:
                raise ForkServerError(worker.refused)
            exchange.finish()
            return Observation(self._conclude(exchange, status), _prints(worker))
        except CandidateError as e:
            # At level A both count against one limit of processes: whoever starts beside a
            # scenario that takes them all would pay for it.
            self._dismiss_spare()
            log = bytes(worker.printed)
            e.frames = e.frames or self._stuck_at(log)
            e.output = _prints(worker)
            raise

    def _converse(
        self, scenario: Scenario, worker: ScenarioProcess, exchange: ScenarioChannel
    ) -> None:
        try:
            _ask(scenario, exchange)
            # The next one starts and imports on the other core while this one plays.
            self._order_spare(scenario.limits)
            self._pump(worker, exchange)
        except DeadlineError:
            seconds = scenario.limits.seconds
            if not exchange.imported:
                seconds = min(seconds, protocol.IMPORT_SECONDS)
            raise failures.too_long(seconds, imported=exchange.imported) from None

    def _pump(self, worker: ScenarioProcess, exchange: ScenarioChannel) -> None:
        """Answer calls and read prints until the scenario answers, ends or oversteps a limit."""
        with selectors.DefaultSelector() as selector:
            selector.register(worker.channel, selectors.EVENT_READ)
            selector.register(worker.log, selectors.EVENT_READ)
            began = time.monotonic()
            look = began + 2 * WATCH_EVERY  # most scenarios are over by then
            while exchange.answer is None:
                for key, _ in selector.select(WATCH_EVERY):
                    if key.fileobj is worker.channel:
                        if not exchange.read():
                            return
                    elif _read_log(worker) == b"":
                        selector.unregister(worker.log)
                now = time.monotonic()
                hangs = not exchange.imported and now > began + protocol.IMPORT_SECONDS
                if hangs or now > exchange.deadline:
                    raise DeadlineError
                if now > look:
                    self._check_memory(worker)
                    look = now + WATCH_EVERY

    def _check_memory(self, worker: ScenarioProcess) -> None:
        allowed = worker.limits.memory_mb << 20
        everything = processes.below(self.pid)
        over = False
        if self._at_once > 1:  # the others must not pay for it
            own = processes.numbered(worker.line.number_of(worker), everything)
            over = processes.memory(own, allowed) > allowed
        # Beside those that play there is one that waits, or what a stack has used at first.
        most = allowed * (self._at_once + 1)
        if over or processes.memory(everything, most) > most:
            raise CandidateError(
                Reason.MEMORY,
                f"used more than {worker.limits.memory_mb:,} MB of memory in all its processes",
            )

    def _stuck_at(self, log: bytes) -> tuple[Frame, ...]:
        return failures.stuck_at(log, self._parent.inside(self._submission), self._submission)

    def _conclude(self, exchange: ScenarioChannel, status: int | None) -> Any:
        answer = exchange.answer
        if answer is None:
            if exchange.stopped:
                return None
            raise failures.ended_early(status, imported=exchange.imported)
        if "raised" in answer:
            raise failures.raised(answer["raised"], self._submission)
        return answer["result"]


def _ask(scenario: Scenario, exchange: ScenarioChannel) -> None:
    """Send the request and, with it, the descriptors; those of the judge are closed."""
    request = {
        "probe": scenario.probe,
        "inputs": scenario.inputs,
        "fakes": {name: scenario.told.get(name, ()) for name in scenario.fakes},
        "listeners": len(scenario.listeners),
        "endpoints": list(scenario.endpoints),
    }
    opened = [endpoint.open() for endpoint in scenario.endpoints.values()]
    try:
        sent = [*(listener.fileno() for listener in scenario.listeners), *opened]
        exchange.send(protocol.encode(request), sent)
    finally:
        # A listener of the judge's would keep connections waiting when the app is gone.
        for listener in scenario.listeners:
            listener.close()
        for descriptor in opened:
            os.close(descriptor)


def _read_log(worker: ScenarioProcess) -> bytes | None:
    """Read what was printed: nothing at its end, None when nothing is there now. Never waits.

    At level A a scenario is the same user as the judge: it may open the other end of the pipe as
    well, and take out what the judge has been told is there.
    """
    try:
        data = os.read(worker.log, 65536)
    except BlockingIOError:
        return None
    worker.printed += data
    most = worker.limits.output_kb
    if len(worker.printed) > most * 1024:
        raise CandidateError(Reason.OUTPUT, f"printed more than {most:,} kB in one scenario")
    return data


def _drain(worker: ScenarioProcess) -> None:
    """Read what the dead process had still printed."""
    with suppress(CandidateError):
        while _read_log(worker):
            pass


def _prints(worker: ScenarioProcess) -> str:
    return sanitize(bytes(worker.printed).partition(failures.STUCK)[0], SHOWN_OUTPUT)
