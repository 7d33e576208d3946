"""The warm parent, from this side: started, branched, replaced when it is gone."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import isolation, processes
from archprep.sandbox.control_channel import ControlChannel, ForkServerError, ScenarioProcess

if TYPE_CHECKING:
    from archprep.core.model import Limits, Submission


@dataclass(frozen=True, slots=True)
class Stack:
    """Libraries that need more than an import: a home, files, and a first use."""

    environment: Callable[[str], dict[str, str]]  # by the folder that is theirs
    files: Mapping[str, Path]  # read-only in the sandbox; where, says the variable of that name
    warm_up: str  # a module whose warm_up() uses them once
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootConfig:
    """What the warm parent needs before it can fork scenarios."""

    probes: str
    entry: tuple[str, ...]  # modules of the candidate, imported first
    preload: tuple[str, ...] = ()
    secret: tuple[Path, ...] = ()  # folders that stay invisible
    stack: Stack | None = None


class ForkServer:
    """One process in the sandbox that forks others on demand; it starts again when it has to."""

    def __init__(
        self, profile: isolation.Profile, boot: BootConfig, stage: Path, seccomp: bytes
    ) -> None:
        self.profile = profile
        self._boot = boot
        self._stage = stage
        self._seccomp = seccomp
        self._process: subprocess.Popen[bytes] | None = None
        self._trunk: ControlChannel | None = None
        self._branch: ControlChannel | None = None
        self._lock = threading.RLock()
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
        self._trunk = ControlChannel(ours)
        with theirs:
            self._process = self._launch(theirs.fileno())
        self._trunk.boot(self._boot_message())
        if self._boot.stack is not None:
            ours, theirs = socket.socketpair()
            self._branch = ControlChannel(ours)
            with theirs:
                self._trunk.branch(theirs)

    def make_ready(self, *, warmed: bool = False) -> None:
        """Start it where it is not there (any more), and wait; ForkServerError when it cannot be.

        `warmed`: until the stack's libraries have been used, too.
        """
        with self._lock:
            if any(line.has_ended() for line in (self._trunk, self._branch) if line):
                self.stop()  # killed between two scenarios: that is nobody's fault
            if self._trunk is None:
                self.start()
            line = self._line(warmed=warmed)
        line.await_ready()

    def order(
        self, limits: Limits, submission: Submission, *, warmed: bool = False
    ) -> ScenarioProcess:
        """Ask for a process that imports the submission; it is confirmed later, in order."""
        line = self._line(warmed=warmed)
        return line.order(limits, self.inside(submission), self._scratch)

    def end(self, worker: ScenarioProcess, patience: float = 0.0) -> int | None:
        """Kill a scenario's processes, all of them, and wait until they are gone.

        Returns the exit status of one that ended by itself within `patience` seconds. A warm
        parent that a scenario has stopped or killed is replaced: the rest goes on.
        """
        try:
            return worker.line.end(worker, patience)
        except ForkServerError:
            self.stop()
            return None

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
        return _failed(f"{why}. {sanitize(said, 600)}".strip(" ."))

    def stop(self) -> None:
        """Kill everything in the sandbox."""
        with self._lock:
            if self._process is not None:
                self._kill_all()
                if self._process.stderr is not None:
                    self._process.stderr.close()
                self._process = None
            for line in filter(None, (self._trunk, self._branch)):
                line.hang_up()
            self._trunk = self._branch = None

    def close(self) -> None:
        """Stop, and forget what was written."""
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _line(self, *, warmed: bool) -> ControlChannel:
        line = self._branch if warmed else self._trunk
        assert line is not None, "only an exercise with a stack has scenarios that are warmed"
        return line

    def _launch(self, control_fd: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                isolation.command(
                    self.profile, self._stage, self._boot.secret, control_fd, self._files()
                ),
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
        stack = self._boot.stack
        return {
            "confinement": self.profile.confinement,
            "path": isolation.library_paths_inside(self.profile),
            "preload": (*(stack.preload if stack else ()), *self._boot.preload),
            "environment": self._environment(),
            "warm_up": stack.warm_up if stack else "",
            "probes": self._boot.probes,
            "entry": self._boot.entry,
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

    def _files(self) -> dict[Path, str]:
        """Where the stack's files are in the sandbox."""
        stack = self._boot.stack
        files = stack.files.values() if stack else ()
        return {path: f"{isolation.SANDBOX_FILES}/{path.name}" for path in files}

    def _environment(self) -> dict[str, str]:
        stack = self._boot.stack
        if stack is None:
            return {}
        if not self.profile.contained:
            return stack.environment(f"{self._scratch}/airflow") | {
                name: str(path) for name, path in stack.files.items()
            }
        inside = self._files()
        return stack.environment(isolation.SANDBOX_HOME) | {
            name: inside[path] for name, path in stack.files.items()
        }

    def _kill_all(self) -> None:
        assert self._process is not None
        below = processes.below(self._process.pid)
        self._process.kill()
        self._process.wait()
        processes.end(below)


def _failed(why: str) -> ContentError:
    return ContentError(f"The sandbox failed: {why}.", tip="`archprep doctor` looks for the cause.")
