"""The channel to a fork server in the sandbox: spawn a scenario's process, end it.

Scenarios may run side by side: every method may be called from any thread.
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
EXIT_SECONDS = 5.0  # for a killed scenario to be gone


@dataclass(slots=True)
class ScenarioProcess:
    """A scenario's process, seen from the judge. It imports the candidate's modules and waits."""

    channel: socket.socket
    log: int
    limits: Limits
    server: ControlChannel
    pid: int | None = None  # in the sandbox; None until the fork server has reported it
    refused: str | None = None  # why there is no such process
    lost: bool = False  # its fork server is gone
    printed: bytearray = field(default_factory=bytearray)

    def sandbox_pid(self) -> int | None:
        """Its process id in the sandbox, as soon as that is known."""
        if self.pid is None:
            self.server.has_ended()  # reads what has arrived
        return self.pid

    def close(self) -> None:
        """Close this side of its channel and its log."""
        self.channel.close()
        os.close(self.log)


class ForkServerError(Exception):
    """The fork server cannot go on."""


class ControlChannel:
    """Messages to and from one fork server."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._control.settimeout(BOOT_SECONDS)
        self._lock = threading.RLock()
        self._ready = False
        self._processes: list[ScenarioProcess] = []
        self._unconfirmed: deque[ScenarioProcess] = deque()  # in the order of their requests
        self._exits: dict[int, int] = {}

    def boot(self, message: dict[str, Any]) -> None:
        """Send what it needs before it can fork scenarios."""
        self._send({"boot": message})

    def fork_warmed(self, control: socket.socket) -> None:
        """Have it fork a second fork server, which listens on the other end of `control`."""
        with self._lock:
            self._send({"warm_up": True})
            with suppress(OSError):
                socket.send_fds(self._control, [b"F"], [control.fileno()])

    def await_ready(self) -> None:
        """Wait until it can fork scenarios; ForkServerError if it never will."""
        with self._lock:
            try:
                self._receive_until(lambda: self._ready)
            except (OSError, EOFError, protocol.ProtocolError) as e:
                raise ForkServerError(str(e)) from None

    def has_ended(self) -> bool:
        """Whether it has closed the channel; handles the messages that have arrived."""
        if not self._lock.acquire(blocking=False):
            return False  # another thread is reading, and will notice
        try:
            while self._has_message(0):
                self._receive()
        except (OSError, EOFError, protocol.ProtocolError):
            return True
        finally:
            self._lock.release()
        return False

    def spawn(self, limits: Limits, submission: str, scratch: str) -> ScenarioProcess:
        """Request a process; the fork server confirms it later, in order."""
        channel, theirs = socket.socketpair()
        if processes.is_linux():
            theirs.bind("")  # gets a free number: a scenario could bind it to any abstract name
        log, log_writer = os.pipe()
        os.set_blocking(log, False)  # a scenario may have read it empty
        process = ScenarioProcess(channel, log, limits, self)
        with theirs, self._lock:
            # Before the request: Ctrl-C may come in between, and the reply must find its process.
            self._unconfirmed.append(process)
            self._processes.append(process)
            plan = {"limits": asdict(limits), "submission": submission, "scratch": scratch}
            self._send({"spawn": plan})
            with suppress(OSError):  # a dead server shows at the next read
                socket.send_fds(self._control, [b"F"], [theirs.fileno(), log_writer])
        os.close(log_writer)
        return process

    def end(self, process: ScenarioProcess, grace: float = 0.0) -> int | None:
        """Kill all processes of a scenario and wait until they are gone.

        Returns the exit status if the scenario ends by itself within `grace` seconds.
        Raises ForkServerError if a scenario has stopped or killed the fork server.
        """
        with self._lock:
            if process.lost:
                return None
            self._processes.remove(process)
            try:
                return self._end(process, grace)
            except (OSError, EOFError, protocol.ProtocolError) as e:
                raise ForkServerError(str(e)) from None

    def close(self) -> None:
        """Close the channel: the fork server is gone, and its scenarios with it."""
        for process in self._processes:
            process.lost = True
        self._processes.clear()
        self._unconfirmed.clear()
        self._control.close()

    def _end(self, process: ScenarioProcess, grace: float) -> int | None:
        self._control.settimeout(EXIT_SECONDS)
        self._receive_until(lambda: (process.pid or process.refused) is not None)
        status = self._exit_status(process.pid, grace) if process.pid else None
        if process.pid and status is None:
            self._send({"kill": process.pid})
            self._receive_until(lambda: process.pid in self._exits)
            del self._exits[process.pid]
        self._control.settimeout(BOOT_SECONDS)
        return status

    def _send(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next read will tell
            protocol.send(self._control, message)

    def _receive_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._receive()

    def _receive(self) -> None:
        match protocol.receive(self._control):
            case {"ready": True}:
                self._ready = True
            case {"spawned": int(pid)} if self._unconfirmed:
                self._exits.pop(pid, None)  # of an earlier process with the same id
                self._unconfirmed.popleft().pid = pid
            case {"exited": int(pid), "status": int(status)}:
                self._exits[pid] = status
            case {"refused": str(why)} if self._unconfirmed:
                self._unconfirmed.popleft().refused = why
            case None:
                raise EOFError("it ended")
            case other:
                raise protocol.ProtocolError(f"an unknown message {other}")

    def _has_message(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _exit_status(self, pid: int, grace: float) -> int | None:
        deadline = time.monotonic() + grace
        while pid not in self._exits and (left := deadline - time.monotonic()) > 0:
            if self._has_message(left):
                self._receive()
        return self._exits.pop(pid, None)
