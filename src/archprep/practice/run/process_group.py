"""The processes that `archprep run` starts, each below a supervisor of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.practice.run.supervisor import KILL_ROUNDS
from archprep.sandbox import processes

# -P: the working directory may contain a file that is named like a library's.
PYTHON = (sys.executable, "-P", "-m")
_SUPERVISOR = "archprep.practice.run.supervisor"
_MARGIN_SECONDS = 5.0  # for the supervisors, beyond the patience with their processes
_DRAIN_SECONDS = 1.0  # for the last lines of output
_LINE_BYTES = 8000

ShowLine = Callable[[str], None]
Source = Callable[[Path], Path]  # returns the folder to run; may create it in the given folder


class ProcessGroup:
    """Processes that end with the `with` block, after `patience` seconds by force.

    `folder` is a temporary folder for them. `exit_codes` has those that have ended, by name.
    """

    folder: Path

    def __init__(self, patience: float = 0) -> None:
        self.exit_codes: dict[str, int] = {}
        self._patience = patience
        self._supervisors: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        processes.adopt_orphans()  # in case a supervisor is killed
        with processes.deferred_signals():
            self._temporary = tempfile.TemporaryDirectory(
                prefix="archprep-run-", ignore_cleanup_errors=True
            )
        self.folder = Path(self._temporary.name)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stop()
        finally:  # at once, if Ctrl-C is pressed again
            with processes.deferred_signals():
                self._kill()
                self._temporary.cleanup()

    def start(
        self,
        name: str,
        command: list[str],
        *,
        env: dict[str, str],
        cwd: Path,
        output: Path | ShowLine,
        listener: int | None = None,
    ) -> None:
        """Start a process that writes to the file `output`, or whose lines `output` shows.

        `listener` is the descriptor of a socket that it inherits.
        """
        log = output.open("ab") if isinstance(output, Path) else None
        with processes.deferred_signals():
            supervisor = subprocess.Popen(  # noqa: S603 - archprep's own program
                [*PYTHON, _SUPERVISOR, str(self.folder), *command],
                stdin=subprocess.PIPE,
                stdout=log or subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[] if listener is None else [listener],
                start_new_session=True,
                env=env,
                cwd=cwd,
            )
            self._supervisors[name] = supervisor
        if log is not None:
            log.close()
        if not isinstance(output, Path):
            reader = threading.Thread(target=_show_lines, args=(supervisor.stdout, output))
            reader.daemon = True
            reader.start()
            self._readers.append(reader)

    def wait(self, seconds: float) -> None:
        """Wait, then update `exit_codes`; ContentError if a supervisor was killed."""
        time.sleep(seconds)
        for name, supervisor in self._supervisors.items():
            code = supervisor.poll()
            if code is not None and code < 0:
                raise ContentError(f"The process that supervises {name} was killed.")
            if code is not None:
                self.exit_codes[name] = code

    def _stop(self) -> None:
        for supervisor in self._supervisors.values():
            assert supervisor.stdin is not None
            with suppress(BrokenPipeError):
                supervisor.stdin.write(str(self._patience).encode())
                supervisor.stdin.close()
        deadline = time.monotonic() + self._patience + _MARGIN_SECONDS
        with suppress(subprocess.TimeoutExpired):
            for supervisor in self._supervisors.values():
                supervisor.wait(max(deadline - time.monotonic(), 0))

    def _kill(self) -> None:
        for _ in range(KILL_ROUNDS):
            processes.end(processes.below(os.getpid()))
        for supervisor in self._supervisors.values():
            supervisor.wait()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)


def describe_exit(code: int) -> str:
    """Return how a process ended, from the exit code of its supervisor."""
    with suppress(ValueError):
        return signal.Signals(code - 128).name
    return f"exit status {code}"


def _show_lines(stream: IO[bytes], show: ShowLine) -> None:
    with stream:
        for line in iter(lambda: stream.readline(_LINE_BYTES), b""):
            show(sanitize(line.rstrip(b"\r\n"), _LINE_BYTES))
