"""A line to a process in the sandbox that forks scenarios on demand: order one, end one.

Scenarios play two at a time where an exercise says so: every method may be called from any thread.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from archprep.sandbox import processes
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from archprep.core.model import Limits

BOOT_SECONDS = 60.0
EXIT_SECONDS = 2.0  # for a killed scenario to be gone


@dataclass(slots=True)
class ScenarioProcess:
    """A scenario's process, from this side. It imports the candidate's modules and waits."""

    channel: socket.socket
    log: int
    limits: Limits
    line: ControlChannel
    pid: int | None = None  # until the warm parent has told
    refused: str | None = None  # why there is no such process
    lost: bool = False  # its warm parent is gone
    printed: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        """Let go of what connects to it."""
        self.channel.close()
        os.close(self.log)


class ForkServerError(Exception):
    """The warm parent cannot go on."""


class ControlChannel:
    """What is said to one warm parent, and heard from it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._control.settimeout(BOOT_SECONDS)
        self._lock = threading.RLock()
        self._ready = False
        self._workers: list[ScenarioProcess] = []
        self._ordered: deque[ScenarioProcess] = deque()  # not yet confirmed, in order
        self._exits: dict[int, int] = {}

    def boot(self, message: dict[str, Any]) -> None:
        """Say what it needs before it can fork scenarios."""
        self._tell({"boot": message})

    def branch(self, control: socket.socket) -> None:
        """Have it fork another warm parent, which listens on the other end of `control`."""
        with self._lock:
            self._tell({"branch": True})
            with suppress(OSError):
                socket.send_fds(self._control, [b"F"], [control.fileno()])

    def await_ready(self) -> None:
        """Wait until it can fork scenarios; ForkServerError when it never will."""
        with self._lock:
            try:
                self._hear_until(lambda: self._ready)
            except (OSError, EOFError, protocol.ProtocolError) as e:
                raise ForkServerError(str(e)) from None

    def has_ended(self) -> bool:
        """Whether it has hung up; hears its news."""
        if not self._lock.acquire(blocking=False):
            return False  # somebody listens, and will know
        try:
            while self._has_news(0):
                self._hear()
        except (OSError, EOFError, protocol.ProtocolError):
            return True
        finally:
            self._lock.release()
        return False

    def number_of(self, worker: ScenarioProcess) -> int | None:
        """The process id that it has in the sandbox, as soon as that has been told."""
        if worker.pid is None:
            self.has_ended()
        return worker.pid

    def order(self, limits: Limits, submission: str, scratch: str) -> ScenarioProcess:
        """Ask for a process; it is confirmed later, in order."""
        channel, theirs = socket.socketpair()
        if processes.is_linux():
            theirs.bind("")  # gets a free number: a scenario could give it any name of this machine
        log, log_writer = os.pipe()
        os.set_blocking(log, False)  # its reader may find that somebody else has read it
        worker = ScenarioProcess(channel, log, limits, self)
        with theirs, self._lock:
            # Before it is sent: Ctrl-C may come in between, and the answer must find its worker.
            self._ordered.append(worker)
            self._workers.append(worker)
            plan = {"limits": asdict(limits), "submission": submission, "scratch": scratch}
            self._tell({"spawn": plan})
            with suppress(OSError):  # a dead parent shows when it is listened to
                socket.send_fds(self._control, [b"F"], [theirs.fileno(), log_writer])
        os.close(log_writer)
        return worker

    def end(self, worker: ScenarioProcess, patience: float = 0.0) -> int | None:
        """Kill a scenario's processes, all of them, and wait until they are gone.

        Returns the exit status of one that ended by itself within `patience` seconds.
        ForkServerError when a scenario has stopped or killed the warm parent.
        """
        with self._lock:
            if worker.lost:
                return None
            self._workers.remove(worker)
            try:
                return self._end(worker, patience)
            except (OSError, EOFError, protocol.ProtocolError) as e:
                raise ForkServerError(str(e)) from None

    def hang_up(self) -> None:
        """Listen no more: the process is gone, and its scenarios with it."""
        for worker in self._workers:
            worker.lost = True
        self._workers.clear()
        self._ordered.clear()
        self._control.close()

    def _end(self, worker: ScenarioProcess, patience: float) -> int | None:
        self._control.settimeout(EXIT_SECONDS)
        self._hear_until(lambda: (worker.pid or worker.refused) is not None)
        status = self._exit_status(worker.pid, patience) if worker.pid else None
        if worker.pid and status is None:
            self._tell({"kill": worker.pid})
            self._hear_until(lambda: worker.pid in self._exits)
            del self._exits[worker.pid]
        self._control.settimeout(BOOT_SECONDS)
        return status

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next answer will tell
            protocol.send(self._control, message)

    def _hear_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._hear()

    def _hear(self) -> None:
        match protocol.receive(self._control):
            case {"ready": True}:
                self._ready = True
            case {"spawned": int(pid)} if self._ordered:
                self._exits.pop(pid, None)  # of an earlier process with that number
                self._ordered.popleft().pid = pid
            case {"exited": int(pid), "status": int(status)}:
                self._exits[pid] = status
            case {"refused": str(why)} if self._ordered:
                self._ordered.popleft().refused = why
            case None:
                raise EOFError("it ended")
            case other:
                raise protocol.ProtocolError(f"an unknown message {other}")

    def _has_news(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _exit_status(self, pid: int, patience: float) -> int | None:
        deadline = time.monotonic() + patience
        while pid not in self._exits and (left := deadline - time.monotonic()) > 0:
            if self._has_news(left):
                self._hear()
        return self._exits.pop(pid, None)
