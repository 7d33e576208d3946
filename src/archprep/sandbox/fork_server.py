"""The fork server, seen from the judge: started, warmed up, replaced when it is gone."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import command_line, isolation, processes
from archprep.sandbox.control_channel import ControlChannel, ForkServerError, ScenarioProcess

if TYPE_CHECKING:
    from archprep.core.model import Limits, Submission


@dataclass(frozen=True, slots=True)
class Stack:
    """Libraries that need more than an import: a home folder, files, and a first use.

    `environment` makes the variables from the home folder. `files` are mapped to read-only copies
    in the sandbox, whose places the variables of these names hold. `warm_up` names a module whose
    `warm_up()` uses the libraries once.
    """

    environment: Callable[[str], dict[str, str]]
    files: Mapping[str, Path]
    warm_up: str
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootConfig:
    """What the fork server needs before it can fork scenarios."""

    probes: str
    entry: tuple[str, ...]  # modules of the candidate, imported first
    preload: tuple[str, ...] = ()
    secret: tuple[Path, ...] = ()  # folders that must not be visible
    stack: Stack | None = None
    # Source of modules that the probes import, by name.
    probe_modules: Mapping[str, str] = field(default_factory=dict)


class ForkServer:
    """One process in the sandbox that forks scenarios on demand; restarted when it has ended."""

    def __init__(
        self, profile: isolation.Profile, boot: BootConfig, stage: Path, seccomp: bytes
    ) -> None:
        self.profile = profile
        self._boot = boot
        self._stage = stage
        self._seccomp = seccomp
        self._process: subprocess.Popen[bytes] | None = None
        self._server: ControlChannel | None = None
        self._warmed: ControlChannel | None = None
        self._lock = threading.RLock()
        self._scratch = tempfile.mkdtemp(prefix="archprep-")

    @property
    def pid(self) -> int | None:
        """The process above everything that runs in the sandbox."""
        return self._process.pid if self._process else None

    def inside(self, submission: Submission) -> str:
        """Return the submission's folder as the scenario sees it."""
        if not self.profile.contained:
            return str(submission.root)
        return str(command_line.SANDBOX_SUBMISSION / submission.root.relative_to(self._stage))

    def start(self) -> None:
        """Start it without waiting: it boots while the judge imports."""
        processes.adopt_orphans()
        ours, theirs = socket.socketpair()
        self._server = ControlChannel(ours)
        with theirs:
            self._process = self._launch(theirs.fileno())
        self._server.boot(self._boot_message())
        if self._boot.stack is not None:
            ours, theirs = socket.socketpair()
            self._warmed = ControlChannel(ours)
            with theirs:
                self._server.fork_warmed(theirs)

    def ensure_ready(self, *, warmed: bool = False) -> None:
        """Start it if it is not running, and wait; ForkServerError if it cannot be started.

        `warmed`: wait until the stack's libraries have been used.
        """
        with self._lock:
            if any(server.has_ended() for server in (self._server, self._warmed) if server):
                self.stop()  # killed between two scenarios: no scenario is to blame
            if self._server is None:
                self.start()
            server = self._channel(warmed=warmed)
        server.await_ready()

    def spawn(
        self, limits: Limits, submission: Submission, *, warmed: bool = False
    ) -> ScenarioProcess:
        """Request a process that imports the submission; it is confirmed later, in order."""
        return self._channel(warmed=warmed).spawn(limits, self.inside(submission), self._scratch)

    def end(self, process: ScenarioProcess, grace: float = 0.0) -> int | None:
        """Kill all processes of a scenario and wait until they are gone.

        Returns the exit status if the scenario ends by itself within `grace` seconds. A fork
        server that a scenario has stopped or killed is replaced before the next one.
        """
        try:
            return process.server.end(process, grace)
        except ForkServerError:
            self.stop()
            return None

    def failure(self, why: str) -> ContentError:
        """Stop; return an error with the last output of bubblewrap or of the process itself."""
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
            for server in filter(None, (self._server, self._warmed)):
                server.close()
            self._server = self._warmed = None

    def close(self) -> None:
        """Stop, and delete the scratch files."""
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _channel(self, *, warmed: bool) -> ControlChannel:
        channel = self._warmed if warmed else self._server
        assert channel is not None, "warmed scenarios need an exercise with a stack"
        return channel

    def _launch(self, control_fd: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                command_line.fork_server(
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
            "path": command_line.library_paths_inside(self.profile),
            "preload": (*(stack.preload if stack else ()), *self._boot.preload),
            "environment": self._environment(),
            "warm_up": stack.warm_up if stack else "",
            "probes": self._boot.probes,
            "probe_modules": dict(self._boot.probe_modules),
            "entry": self._boot.entry,
            "seccomp": base64.b64encode(self._seccomp).decode(),
        }

    def _files(self) -> dict[Path, str]:
        """The paths of the stack's files in the sandbox."""
        stack = self._boot.stack
        files = stack.files.values() if stack else ()
        return {path: f"{command_line.SANDBOX_FILES}/{path.name}" for path in files}

    def _environment(self) -> dict[str, str]:
        stack = self._boot.stack
        if stack is None:
            return {}
        if not self.profile.contained:
            return stack.environment(f"{self._scratch}/airflow") | {
                name: str(path) for name, path in stack.files.items()
            }
        inside = self._files()
        return stack.environment(command_line.SANDBOX_HOME) | {
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
