"""The warm parent, from this side: started, told, listened to, replaced when it is gone."""

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
from typing import TYPE_CHECKING, Any

from archprep import isolation, processes
from archprep.clean import clean
from archprep.errors import ContentError
from archprep.model import Limits, Submission
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

BOOT_SECONDS = 60.0
EXIT_SECONDS = 2.0  # for a killed scenario to be gone


@dataclass(frozen=True, slots=True)
class Boot:
    """What the warm parent needs before it can fork scenarios."""

    probes: str
    entry: tuple[str, ...]  # modules of the candidate, imported first
    preload: tuple[str, ...] = ()
    secret: tuple[Path, ...] = ()  # folders that stay invisible


@dataclass(slots=True)
class Worker:
    """A scenario's process, from this side. It imports the candidate's modules and waits."""

    channel: socket.socket
    log: int
    limits: Limits
    pid: int | None = None  # until the warm parent has told
    refused: str | None = None  # why there is no such process
    lost: bool = False  # its warm parent is gone
    printed: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        """Let go of what connects to it."""
        self.channel.close()
        os.close(self.log)


class BrokenError(Exception):
    """The warm parent cannot go on."""


class WarmParent:
    """One process in the sandbox that forks others on demand; it starts again when it has to."""

    def __init__(self, profile: isolation.Profile, boot: Boot, stage: Path, seccomp: bytes) -> None:
        self.profile = profile
        self._boot = boot
        self._stage = stage
        self._seccomp = seccomp
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._workers: list[Worker] = []
        self._ordered: deque[Worker] = deque()  # not yet confirmed, in order
        self._exits: dict[int, int] = {}
        self._scratch = tempfile.mkdtemp(prefix="archprep-")

    @property
    def pid(self) -> int | None:
        """The process to look under for all that runs in the sandbox."""
        return self._process.pid if self._process else None

    def inside(self, submission: Submission) -> str:
        """Return the submission's folder as the scenario sees it."""
        if not self.profile.contained:
            return str(submission.root)
        return str(isolation.SANDBOX_SUBMISSION / submission.root.relative_to(self._stage))

    def start(self) -> None:
        """Start it and do not wait: it boots while the judge imports."""
        processes.adopt_orphans()
        ours, theirs = socket.socketpair()
        self._control, self._ready = ours, False
        with theirs:
            self._process = self._launch(theirs.fileno())
        ours.settimeout(BOOT_SECONDS)
        self._tell({"boot": self._boot_message()})

    def make_ready(self) -> None:
        """Start it where it is not there (any more), and wait; BrokenError when it cannot be."""
        if self._ready and self._has_ended():
            self.stop()  # killed between two scenarios: that is nobody's fault
        if self._control is None:
            self.start()
        try:
            self._hear_until(lambda: self._ready)
        except (OSError, EOFError, protocol.ProtocolError) as e:
            raise BrokenError(str(e)) from None

    def order(self, limits: Limits, submission: Submission) -> Worker:
        """Ask for a process; it is confirmed later, in order."""
        assert self._control is not None
        channel, theirs = socket.socketpair()
        log, log_writer = os.pipe()
        os.set_blocking(log, False)  # its reader may find that somebody else has read it
        worker = Worker(channel, log, limits)
        # Before it is sent: Ctrl-C may come in between, and the answer must find its worker.
        self._ordered.append(worker)
        self._workers.append(worker)
        with theirs:
            plan = {"limits": asdict(limits), "submission": self.inside(submission)}
            self._tell({"spawn": plan | {"scratch": self._scratch}})
            with suppress(OSError):  # a dead parent shows when it is listened to
                socket.send_fds(self._control, [b"F"], [theirs.fileno(), log_writer])
        os.close(log_writer)
        return worker

    def end(self, worker: Worker, patience: float = 0.0) -> int | None:
        """Kill a scenario's processes, all of them, and wait until they are gone.

        Returns the exit status of one that ended by itself within `patience` seconds. A warm
        parent that a scenario has stopped or killed is replaced: the rest goes on.
        """
        if worker.lost:
            return None
        self._workers.remove(worker)
        assert self._control is not None
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
            self.stop()
            return None
        return status

    def failure(self, why: str) -> ContentError:
        """Stop, and say what bubblewrap or the process itself has said last."""
        said = b""
        if self._process is not None and self._process.stderr is not None:
            stderr = self._process.stderr.fileno()
            self._kill_all()
            os.set_blocking(stderr, False)
            with suppress(OSError):
                said = os.read(stderr, 4000)
        self.stop()
        return _failed(f"{why}. {clean(said, 600)}".strip(" ."))

    def stop(self) -> None:
        """Kill everything in the sandbox."""
        for worker in self._workers:
            worker.lost = True
        self._workers.clear()
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

    def close(self) -> None:
        """Stop, and forget what was written."""
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _launch(self, control_fd: int) -> subprocess.Popen[bytes]:
        stage, secret = self._stage, self._boot.secret
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                isolation.command(self.profile, stage, secret, control_fd),
                env=isolation.BARE_ENVIRONMENT,
                pass_fds=[control_fd],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        except OSError as e:
            self.stop()
            raise _failed(f"{self.profile.tool} cannot be started ({e.strerror})") from None

    def _boot_message(self) -> dict[str, Any]:
        return {
            "confinement": self.profile.confinement,
            "path": isolation.library_paths_inside(self.profile),
            "preload": self._boot.preload,
            "probes": self._boot.probes,
            "entry": self._boot.entry,
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

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

    def _exit_status(self, pid: int, patience: float) -> int | None:
        deadline = time.monotonic() + patience
        while pid not in self._exits and (left := deadline - time.monotonic()) > 0:
            if self._has_news(left):
                self._hear()
        return self._exits.pop(pid, None)

    def _kill_all(self) -> None:
        assert self._process is not None
        below = processes.below(self._process.pid)
        self._process.kill()
        self._process.wait()
        processes.end(below)


def _failed(why: str) -> ContentError:
    return ContentError(f"The sandbox failed: {why}.", tip="`archprep doctor` looks for the cause.")
