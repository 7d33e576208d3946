"""The trusted side of the boundary: starts the warm parent, plays scenarios, kills what overstays.

What comes back is an observation (a claim, not a fact) or a CandidateError. Time, memory,
processes and output are watched from here, by this side's clock.
"""

from __future__ import annotations

import base64
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprep import isolation
from archprep.clean import clean
from archprep.errors import CandidateError, ContentError
from archprep.model import Frame, Limits, Reason, Submission
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BOOT_SECONDS = 60.0
EXIT_SECONDS = 2.0  # for a killed scenario to be gone
WATCH_EVERY = 0.02
SHOWN_OUTPUT = 4000  # characters of a candidate's prints that are kept
MOST_FRAMES = 12
STUCK = b"Timeout (0:"  # faulthandler writes it in the worker just before the time is up

_DUMPED = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)


class Refuse(Exception):  # noqa: N818 - reads as what a fake does
    """Raised by a judge-side fake: the call fails in the worker with this text."""


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

    def close(self) -> None:
        self.channel.close()
        os.close(self.log)


@dataclass(slots=True)
class _Watch:
    """What is known of a running scenario."""

    deadline: float
    buffer: bytearray = field(default_factory=bytearray)
    log: bytearray = field(default_factory=bytearray)
    imported: bool = False
    answer: dict[str, Any] | None = None


class Sandbox:
    """A warm parent for one submission. One scenario at a time; use as a context manager."""

    def __init__(self, profile: isolation.Profile, boot: Boot, submission: Submission, seccomp: bytes) -> None:
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

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process to look under for all that runs in the sandbox."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the warm parent and do not wait: it boots while the judge imports."""
        _adopt_orphans()
        ours, theirs = socket.socketpair()
        with theirs:
            args = isolation.command(self.profile, self._submission.root, self._boot.secret, theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                args,
                # bwrap's own environment can be read in the sandbox (/proc/1/environ).
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        self._control, self._ready = ours, False
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
        worker = self._take(scenario.limits)
        try:
            fakes = {name: scenario.told.get(name, ()) for name in scenario.fakes}
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have ended already
                protocol.send(
                    worker.channel, {"probe": scenario.probe, "inputs": scenario.inputs, "fakes": fakes}
                )
            # The next one starts and imports on the other core while this one plays.
            self._spare = self._order(scenario.limits)
            return self._play(scenario, worker)
        finally:
            worker.close()

    def _take(self, limits: Limits) -> _Worker:
        """Return a waiting process with these limits: the spare one, or a new one."""
        if self._control is None:
            self.start()
        if not self._ready:
            self._hear_until(lambda: self._ready)
        spare, self._spare = self._spare, None
        if spare is not None and spare.limits == limits:
            return spare
        if spare is not None:
            self._end(spare)
            spare.close()
        return self._order(limits) if self._control is not None else self._take(limits)

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

    def _boot_message(self) -> dict[str, Any]:
        contained = self.profile.contained
        return {
            "confinement": self.profile.confinement,
            "path": isolation.library_paths(),
            "preload": self._boot.preload,
            "probes": self._boot.probes,
            "entry": self._boot.entry,
            "submission": isolation.SANDBOX_SUBMISSION if contained else str(self._submission.root),
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._control is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # the next answer will tell
            protocol.send(self._control, message)

    def _hear_until(self, done: Callable[[], bool]) -> None:
        """Listen to the warm parent until `done`; ContentError when it cannot go on."""
        try:
            while not done():
                self._hear()
        except (OSError, EOFError, protocol.ProtocolError) as e:
            raise self._broken(str(e)) from None

    def _hear(self) -> None:
        assert self._control is not None
        match protocol.receive(self._control):
            case {"ready": True}:
                self._ready = True
            case {"spawned": int(pid)}:
                self._ordered.popleft().pid = pid
            case {"exited": int(pid), "status": int(status)}:
                self._exits[pid] = status
            case {"refused": str(why)}:
                raise OSError(why)
            case None:
                raise EOFError("it ended")
            case other:
                raise protocol.ProtocolError(f"an unknown message {other}")

    def _broken(self, why: str) -> ContentError:
        said = b""
        if self._process is not None and self._process.stderr is not None:
            self._kill_process()
            said = self._process.stderr.read(4000)
        self._stop()
        detail = clean(said, 600).strip()
        return ContentError(f"The sandbox failed: {why}. {detail}".strip(), tip="`archprep doctor` looks for the cause.")

    # -- one scenario ---------------------------------------------------------------------

    def _play(self, scenario: Scenario, worker: _Worker) -> Observation:
        watch = _Watch(deadline=time.monotonic() + scenario.limits.seconds)
        try:
            try:
                self._pump(scenario, watch, worker.channel, worker.log)
            finally:
                status = self._end(worker)
                _drain(watch, worker.log)
            _refuse_trailing(watch, worker.channel)
            return Observation(self._conclude(watch, status), _prints(watch))
        except CandidateError as e:
            e.frames = e.frames or self._stuck_at(watch)
            e.output = _prints(watch)
            raise

    def _pump(self, scenario: Scenario, watch: _Watch, channel: socket.socket, log: int) -> None:
        """Answer calls and read prints until the scenario answers, ends or oversteps a limit."""
        with selectors.DefaultSelector() as selector:
            selector.register(channel, selectors.EVENT_READ)
            selector.register(log, selectors.EVENT_READ)
            look = time.monotonic() + 2 * WATCH_EVERY  # most scenarios are over by then
            while watch.answer is None:
                for key, _ in selector.select(WATCH_EVERY):
                    if key.fileobj is not channel:
                        self._read_log(watch, log, selector, scenario.limits)
                    elif not _read_frames(watch, channel, scenario.fakes):
                        return
                now = time.monotonic()
                if now > watch.deadline:
                    raise _too_long(scenario, watch)
                if now > look:
                    self._check_memory(scenario.limits)
                    look = now + WATCH_EVERY

    def _read_log(self, watch: _Watch, log: int, selector: selectors.BaseSelector, limits: Limits) -> None:
        data = os.read(log, 65536)
        if not data:
            selector.unregister(log)
        watch.log += data
        if len(watch.log) > limits.output_kb * 1024:
            raise CandidateError(Reason.OUTPUT, f"printed more than {limits.output_kb:,} kB in one scenario")

    def _check_memory(self, limits: Limits) -> None:
        import psutil

        total = 0
        with suppress(psutil.Error):
            for process in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.Error):
                    total += process.memory_info().rss
        if total > limits.memory_mb << 20:
            raise CandidateError(
                Reason.MEMORY, f"used {total >> 20:,} MB of memory in all; {limits.memory_mb:,} MB are allowed"
            )

    def _end(self, worker: _Worker) -> int | None:
        """Kill a scenario's processes and wait until they are gone; return its exit status.

        A warm parent that a scenario has stopped or killed is replaced: the rest goes on.
        """
        if self._control is None:
            return None
        try:
            self._control.settimeout(EXIT_SECONDS)
            while worker.pid is None:
                self._hear()
            self._tell({"kill": worker.pid})
            while worker.pid not in self._exits:
                self._hear()
            self._control.settimeout(BOOT_SECONDS)
            return self._exits.pop(worker.pid)
        except (OSError, EOFError, protocol.ProtocolError):
            self._stop()
            return None

    def _conclude(self, watch: _Watch, status: int | None) -> Any:
        answer = watch.answer
        if answer is None:
            raise _ended_early(watch, status)
        if "raised" in answer:
            raise self._raised(answer["raised"])
        return answer["result"]

    def _stuck_at(self, watch: _Watch) -> tuple[Frame, ...]:
        """Return where the code was shortly before its time was up, from its own dump."""
        _, found, dump = bytes(watch.log).rpartition(STUCK)
        lines = _DUMPED.findall(dump.decode(errors="replace")) if found else []
        root = isolation.SANDBOX_SUBMISSION if self.profile.contained else str(self._submission.root)
        inside = [(f.removeprefix(f"{root}/"), int(n), name) for f, n, name in lines if f.startswith(root)]
        frames = (self._frame(*entry) for entry in reversed(inside[:MOST_FRAMES]))
        return tuple(f for f in frames if f is not None)

    def _raised(self, raised: dict[str, Any]) -> CandidateError:
        try:
            return self._described(raised)
        except (KeyError, TypeError, ValueError, AttributeError):
            return CandidateError(Reason.PROTOCOL, "reported an exception in a form that makes no sense")

    def _described(self, raised: dict[str, Any]) -> CandidateError:
        kind, message = clean(raised["type"], 100), clean(raised["message"], 2000)
        located = [*raised["frames"], *([[*raised["syntax"], ""]] if "syntax" in raised else [])]
        frames = tuple(f for f in (self._frame(*entry) for entry in located[-MOST_FRAMES:]) if f is not None)
        reason = Reason.IMPORT if raised["phase"] == "import" else Reason.CRASH
        if kind == "MemoryError":
            reason = Reason.MEMORY
        text = f"{kind}: {message}" if message else kind
        return CandidateError(reason, text, exception=kind, frames=frames)

    def _frame(self, file: str, line: int, function: str) -> Frame | None:
        """Build a frame from a claim: the source line is read on this side, from the frozen copy."""
        if file not in {f.path for f in self._submission.files} or not isinstance(line, int):
            return None
        lines = (self._submission.root / file).read_text(errors="replace").splitlines()
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        return Frame(file, line, clean(function, 80), clean(text.strip(), 160))

    # -- the process ----------------------------------------------------------------------

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
            self._kill_process()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def _kill_process(self) -> None:
        assert self._process is not None
        survivors = [] if self.profile.contained else _descendants(self._process.pid)
        self._process.kill()
        for pid in survivors:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def _read_frames(watch: _Watch, channel: socket.socket, fakes: dict[str, Any]) -> bool:
    """Read what has come and act on each whole frame; False when the scenario has hung up."""
    try:
        data = channel.recv(65536)
    except ConnectionResetError:
        data = b""
    watch.buffer += data
    while watch.answer is None and (message := _next_frame(watch.buffer)) is not None:
        _act(watch, message, channel, fakes)
    return bool(data)


def _next_frame(buffer: bytearray) -> dict[str, Any] | None:
    size = protocol.HEADER.size
    try:
        if len(buffer) < size:
            return None
        end = size + protocol.body_length(bytes(buffer[:size]))
        if len(buffer) < end:
            return None
        message = protocol.decode(bytes(buffer[size:end]))
    except protocol.ProtocolError as e:
        raise CandidateError(Reason.PROTOCOL, f"wrote to the judge's channel: {clean(str(e), 200)}") from None
    del buffer[:end]
    return message


def _act(watch: _Watch, message: dict[str, Any], channel: socket.socket, fakes: dict[str, Any]) -> None:
    match message:
        case {"imported": True, **rest} if not rest:
            watch.imported = True
        case {"call": int(number), "fake": str(fake), "method": str(method), "args": list(args), "kwargs": dict(kwargs)}:
            reply = {"id": number} | _answer(fakes, fake, method, args, kwargs)
            if number == 0:
                return
            with suppress(BrokenPipeError, ConnectionResetError):
                protocol.send(channel, reply)
        case {"result": _, **rest} | {"raised": dict(), **rest} if not rest:
            watch.answer = message
        case _:
            raise CandidateError(Reason.PROTOCOL, "wrote to the judge's channel: a frame of no known kind")


def _answer(fakes: dict[str, Any], fake: str, method: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Call the judge's object; only public methods of declared fakes can be reached."""
    target = fakes.get(fake)
    function = None if method.startswith("_") else getattr(type(target), method, None)
    if target is None or not callable(function):
        raise CandidateError(Reason.PROTOCOL, f"called {clean(fake, 40)}.{clean(method, 40)}, which does not exist")
    try:
        return {"value": function(target, *args, **kwargs)}
    except Refuse as e:
        return {"error": str(e)}
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as e:
        # The arguments came through the candidate's code: malformed ones are its doing. The
        # reference makes the same calls, so a fault of the fake itself shows in `author check`.
        return {"error": f"{fake}.{method} was called with unusable arguments: {clean(str(e), 200)}"}


def _drain(watch: _Watch, log: int) -> None:
    """Read what the dead process had still printed."""
    os.set_blocking(log, False)
    with suppress(OSError):
        while data := os.read(log, 65536):
            watch.log += data


def _prints(watch: _Watch) -> str:
    return clean(bytes(watch.log).partition(STUCK)[0], SHOWN_OUTPUT)


def _refuse_trailing(watch: _Watch, channel: socket.socket) -> None:
    """Nothing may follow the answer. The process is dead, so what it sent is all here."""
    channel.setblocking(False)
    more = b""
    with suppress(OSError):
        more = channel.recv(1)
    if watch.answer is not None and (watch.buffer or more):
        raise CandidateError(Reason.PROTOCOL, "wrote more to the judge's channel after its answer")
    if watch.answer is None and watch.buffer:
        raise CandidateError(Reason.PROTOCOL, "broke off in the middle of a frame")


def _too_long(scenario: Scenario, watch: _Watch) -> CandidateError:
    if not watch.imported:
        return CandidateError(
            Reason.IMPORT, f"importing the module had not finished after {scenario.limits.seconds:g} s (time-out)"
        )
    return CandidateError(Reason.TIMEOUT, f"the scenario had not finished after {scenario.limits.seconds:g} s")


def _ended_early(watch: _Watch, status: int | None) -> CandidateError:
    where = "before it answered" if watch.imported else "while the module was imported"
    reason = Reason.CRASH
    if status is None:
        how = "the process was gone"
    elif status < 0 or status > 128:
        number = -status if status < 0 else status - 128
        with suppress(ValueError):
            how = f"the process was killed by {signal.Signals(number).name}"
    else:
        how = f"the process ended itself with exit status {status}"
    return CandidateError(reason, f"{how} {where}")


def _descendants(pid: int) -> list[int]:
    import psutil

    with suppress(psutil.Error):
        return [p.pid for p in psutil.Process(pid).children(recursive=True)]
    return []


def _adopt_orphans() -> None:
    """Become subreaper, so that a killed sandbox's processes are reaped at once."""
    if not isolation.is_linux():
        return
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
