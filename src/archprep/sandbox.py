"""The trusted side of the boundary: starts the warm parent, plays scenarios, kills what overstays.

What comes back is an observation (a claim, not a fact) or a CandidateError. Time, memory,
processes and output are watched from here, by this side's clock.
"""

from __future__ import annotations

import base64
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from archprep import account, isolation, processes
from archprep.clean import clean
from archprep.errors import CandidateError, ContentError
from archprep.exchange import Exchange, OutOfTimeError, Refuse
from archprep.model import Limits, Reason, Submission
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Boot", "Observation", "Refuse", "Sandbox", "Scenario"]

BOOT_SECONDS = 60.0
EXIT_SECONDS = 2.0  # for a killed scenario to be gone
LAST_WORDS = 0.3  # seconds for one that has hung up to end by itself
WATCH_EVERY = 0.02
SHOWN_OUTPUT = 4000  # characters of a candidate's prints that are kept


@dataclass(frozen=True, slots=True)
class Boot:
    """What the warm parent needs before it can fork scenarios."""

    probes: str
    entry: tuple[str, ...]  # modules of the candidate, imported first
    preload: tuple[str, ...] = ()
    secret: tuple[Path, ...] = ()  # folders that stay invisible


@dataclass(frozen=True, slots=True)
class Scenario:
    """One probe with its inputs and the judge's objects it may call."""

    probe: str
    inputs: dict[str, Any]
    fakes: dict[str, Any]
    limits: Limits
    told: dict[str, tuple[str, ...]] = field(default_factory=dict)  # methods that are not answered


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe returned, a claim, and what was printed meanwhile, cleaned."""

    value: Any
    output: str


@dataclass(slots=True)
class _Worker:
    """A scenario's process, from this side. It imports the candidate's modules and waits."""

    channel: socket.socket
    log: int
    limits: Limits
    pid: int | None = None  # until the warm parent has told
    refused: str | None = None  # why there is no such process
    printed: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        self.channel.close()
        os.close(self.log)


class _BrokenError(Exception):
    """The warm parent cannot go on."""


class Sandbox:
    """A warm parent for one submission. One scenario at a time; use as a context manager."""

    def __init__(
        self, profile: isolation.Profile, boot: Boot, submission: Submission, seccomp: bytes
    ) -> None:
        self.profile = profile
        self._boot = boot
        self._submission = submission
        self._seccomp = seccomp
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._ordered: deque[_Worker] = deque()  # not yet confirmed, in order
        self._exits: dict[int, int] = {}
        self._spare: _Worker | None = None
        self._scratch = tempfile.mkdtemp(prefix="archprep-")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process to look under for all that runs in the sandbox."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the warm parent and do not wait: it boots while the judge imports."""
        processes.adopt_orphans()
        ours, theirs = socket.socketpair()
        self._control, self._ready = ours, False
        with theirs:
            self._process = self._launch(theirs.fileno())
        ours.settimeout(BOOT_SECONDS)
        self._tell({"boot": self._boot_message()})

    def close(self) -> None:
        """Kill everything in the sandbox and forget it."""
        self._stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, scenario: Scenario) -> Observation:
        """Play one scenario in a fresh process; return what was observed.

        Raises CandidateError for whatever the candidate's code did instead, ContentError
        when the sandbox itself failed.
        """
        try:
            worker = self._take(scenario.limits)
            try:
                return self._play(scenario, worker)
            finally:
                worker.close()
        except _BrokenError as e:
            raise self._failure(str(e)) from None

    # -- processes for scenarios ------------------------------------------------------------

    def _take(self, limits: Limits) -> _Worker:
        """Return a waiting process with these limits: the spare one, or a new one."""
        if self._ready and self._has_ended():
            self._stop()  # killed between two scenarios: that is nobody's fault
        if self._control is None:
            self.start()
        try:
            self._hear_until(lambda: self._ready)
        except (OSError, EOFError, protocol.ProtocolError) as e:
            raise _BrokenError(str(e)) from None
        spare = self._spare
        if spare is not None and spare.limits == limits and spare.refused is None:
            self._spare = None
            return spare
        self._dismiss_spare()
        return self._order(limits) if self._control is not None else self._take(limits)

    def _dismiss_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            self._end(spare)
            spare.close()

    def _order(self, limits: Limits) -> _Worker:
        """Ask the warm parent for a process; it is confirmed later, in order."""
        assert self._control is not None
        channel, theirs = socket.socketpair()
        log, log_writer = os.pipe()
        worker = _Worker(channel, log, limits)
        with theirs:
            self._tell({"spawn": {"limits": asdict(limits), "scratch": self._scratch}})
            with suppress(OSError):  # a dead parent shows when it is listened to
                socket.send_fds(self._control, [b"F"], [theirs.fileno(), log_writer])
        os.close(log_writer)
        self._ordered.append(worker)
        return worker

    def _end(self, worker: _Worker, patience: float = 0.0) -> int | None:
        """Kill a scenario's processes and wait until they are gone.

        Returns the exit status of one that ended by itself within `patience` seconds. A warm
        parent that a scenario has stopped or killed is replaced: the rest goes on.
        """
        if self._control is None:
            return None
        try:
            self._control.settimeout(EXIT_SECONDS)
            self._hear_until(lambda: (worker.pid or worker.refused) is not None)
            status = self._exit_status(worker.pid, patience) if worker.pid else None
            if worker.pid and status is None:
                self._tell({"kill": worker.pid})
                self._hear_until(lambda: worker.pid in self._exits)
                del self._exits[worker.pid]
            self._control.settimeout(BOOT_SECONDS)
        except (OSError, EOFError, protocol.ProtocolError):
            self._stop()
            return None
        return status

    def _exit_status(self, pid: int, patience: float) -> int | None:
        deadline = time.monotonic() + patience
        while pid not in self._exits and (left := deadline - time.monotonic()) > 0:
            if self._has_news(left):
                self._hear()
        return self._exits.pop(pid, None)

    # -- the warm parent --------------------------------------------------------------------

    def _launch(self, control_fd: int) -> subprocess.Popen[bytes]:
        root, secret = self._submission.root, self._boot.secret
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                isolation.command(self.profile, root, secret, control_fd),
                # bwrap's own environment can be read in the sandbox (/proc/1/environ).
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                pass_fds=[control_fd],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        except OSError as e:
            self._stop()
            raise _failed(f"{self.profile.tool} cannot be started ({e.strerror})") from None

    def _boot_message(self) -> dict[str, Any]:
        return {
            "confinement": self.profile.confinement,
            "path": isolation.library_paths(),
            "preload": self._boot.preload,
            "probes": self._boot.probes,
            "entry": self._boot.entry,
            "submission": self._root_inside(),
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

    def _root_inside(self) -> str:
        """The submission's folder as the scenario sees it."""
        contained = self.profile.contained
        return isolation.SANDBOX_SUBMISSION if contained else str(self._submission.root)

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._control is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # the next answer will tell
            protocol.send(self._control, message)

    def _hear_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._hear()

    def _hear(self) -> None:
        assert self._control is not None
        match protocol.receive(self._control):
            case {"ready": True}:
                self._ready = True
            case {"spawned": int(pid)}:
                self._exits.pop(pid, None)  # of an earlier process with that number
                self._ordered.popleft().pid = pid
            case {"exited": int(pid), "status": int(status)}:
                self._exits[pid] = status
            case {"refused": str(why)}:
                self._ordered.popleft().refused = why
            case None:
                raise EOFError("it ended")
            case other:
                raise protocol.ProtocolError(f"an unknown message {other}")

    def _has_news(self, seconds: float) -> bool:
        assert self._control is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _has_ended(self) -> bool:
        """Whether the warm parent has hung up; hears its news."""
        try:
            while self._control is not None and self._has_news(0):
                self._hear()
        except (OSError, EOFError, protocol.ProtocolError):
            return True
        return self._control is None

    def _failure(self, why: str) -> ContentError:
        """Stop, and say what bubblewrap or the warm parent has said last."""
        said = b""
        if self._process is not None and self._process.stderr is not None:
            stderr = self._process.stderr.fileno()
            self._kill_all()
            os.set_blocking(stderr, False)
            with suppress(OSError):
                said = os.read(stderr, 4000)
        self._stop()
        return _failed(f"{why}. {clean(said, 600)}".strip(" ."))

    def _stop(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        self._ordered.clear()
        self._exits.clear()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._kill_all()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def _kill_all(self) -> None:
        assert self._process is not None
        below = processes.below(self._process.pid)
        self._process.kill()
        self._process.wait()
        processes.end(below)

    # -- one scenario -----------------------------------------------------------------------

    def _play(self, scenario: Scenario, worker: _Worker) -> Observation:
        deadline = time.monotonic() + scenario.limits.seconds
        exchange = Exchange(worker.channel, scenario.fakes, deadline)
        status, patience = None, 0.0
        try:
            try:
                self._converse(scenario, worker, exchange, deadline)
                patience = 0.0 if exchange.answer else LAST_WORDS
            finally:
                status = self._end(worker, patience)
                _drain(worker)
            if worker.refused:
                raise _BrokenError(worker.refused)
            exchange.finish()
            return Observation(self._conclude(exchange, status), _prints(worker))
        except CandidateError as e:
            # At level A both count against one limit of processes: whoever starts beside a
            # scenario that takes them all would pay for it.
            self._dismiss_spare()
            log = bytes(worker.printed)
            e.frames = e.frames or account.stuck_at(log, self._root_inside(), self._submission)
            e.output = _prints(worker)
            raise

    def _converse(
        self, scenario: Scenario, worker: _Worker, exchange: Exchange, deadline: float
    ) -> None:
        fakes = {name: scenario.told.get(name, ()) for name in scenario.fakes}
        request = {"probe": scenario.probe, "inputs": scenario.inputs, "fakes": fakes}
        try:
            exchange.send(protocol.encode(request))
            # The next one starts and imports on the other core while this one plays.
            self._spare = self._order(scenario.limits)
            self._pump(worker, exchange, deadline)
        except OutOfTimeError:
            seconds = scenario.limits.seconds
            raise account.too_long(seconds, imported=exchange.imported) from None

    def _pump(self, worker: _Worker, exchange: Exchange, deadline: float) -> None:
        """Answer calls and read prints until the scenario answers, ends or oversteps a limit."""
        with selectors.DefaultSelector() as selector:
            selector.register(worker.channel, selectors.EVENT_READ)
            selector.register(worker.log, selectors.EVENT_READ)
            look = time.monotonic() + 2 * WATCH_EVERY  # most scenarios are over by then
            while exchange.answer is None:
                for key, _ in selector.select(WATCH_EVERY):
                    if key.fileobj is worker.channel:
                        if not exchange.read():
                            return
                    elif not _read_log(worker):
                        selector.unregister(worker.log)
                now = time.monotonic()
                if now > deadline:
                    raise OutOfTimeError
                if now > look:
                    self._check_memory(worker.limits)
                    look = now + WATCH_EVERY

    def _check_memory(self, limits: Limits) -> None:
        allowed = limits.memory_mb << 20
        # Two scenarios' processes are there: the one that plays and the one that waits.
        total = processes.memory(processes.below(self.pid), 2 * allowed)
        if total > 2 * allowed:
            raise CandidateError(
                Reason.MEMORY,
                f"used more than {limits.memory_mb:,} MB of memory in all its processes",
            )

    def _conclude(self, exchange: Exchange, status: int | None) -> Any:
        answer = exchange.answer
        if answer is None:
            raise account.ended_early(status, imported=exchange.imported)
        if "raised" in answer:
            raise account.raised(answer["raised"], self._submission)
        return answer["result"]


def _read_log(worker: _Worker) -> bool:
    """Read what was printed; False at its end."""
    data = os.read(worker.log, 65536)
    worker.printed += data
    most = worker.limits.output_kb
    if len(worker.printed) > most * 1024:
        raise CandidateError(Reason.OUTPUT, f"printed more than {most:,} kB in one scenario")
    return bool(data)


def _drain(worker: _Worker) -> None:
    """Read what the dead process had still printed."""
    os.set_blocking(worker.log, False)
    with suppress(OSError, CandidateError):
        while _read_log(worker):
            pass


def _prints(worker: _Worker) -> str:
    return clean(bytes(worker.printed).partition(account.STUCK)[0], SHOWN_OUTPUT)


def _failed(why: str) -> ContentError:
    return ContentError(f"The sandbox failed: {why}.", tip="`archprep doctor` looks for the cause.")
