"""The processes that `archprep run` has started, all of them below one that sees to their end."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from archprep.core.errors import ContentError
from archprep.core.sanitize import sanitize
from archprep.sandbox import processes

# Not from the folder that the user stands in: it may hold a file named like a library's.
PYTHON = (sys.executable, "-P", "-m")
GUARD = "archprep.practice.run.supervisor"
MARGIN_SECONDS = 5.0  # for the guard, beyond the patience that its processes are shown
LINE_BYTES = 8000

Show = Callable[[str], None]
Source = Callable[[Path], Path]  # makes the folder to run, in a room if need be, and names it


class Group:
    """Processes that end with the block, after `patience` seconds by force.

    `room` is a folder for them, and goes with them. `show` gets their lines, cleaned.
    """

    room: Path

    def __init__(self, show: Show, listener: socket.socket, patience: float = 0) -> None:
        self.patience = patience
        self.ended: dict[str, int] = {}  # exit codes, by name
        self._show = show
        self._listener = listener.fileno()
        self._guard: subprocess.Popen[bytes] | None = None
        self._told, self._printed = _Lines(), _Lines()

    def __enter__(self) -> Self:
        processes.adopt_orphans()  # should the guard be killed
        with processes.undisturbed():
            self.room = Path(tempfile.mkdtemp(prefix="archprep-run-"))
            self._guard = subprocess.Popen(  # noqa: S603 - our own program
                [*PYTHON, GUARD, str(self.room)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[self._listener],
                start_new_session=True,
                cwd=self.room,
            )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end(self.patience)
        except BaseException:  # whoever interrupts twice does not want to wait
            self._show = _show_nothing
            with processes.undisturbed():
                self._end(0)
            raise

    def start(
        self,
        name: str,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: Path,
        log: Path | None = None,
        listens: bool = False,
    ) -> None:
        """Start a process; what it prints is shown, unless it has a file of its own for it."""
        fds = [self._listener] if listens else []
        order = {"name": name, "argv": argv, "env": env, "cwd": str(cwd), "fds": fds}
        self._order(order | {"log": str(log) if log else None})

    def wait(self, seconds: float) -> None:
        """Wait so long for something to happen; show what was printed, note what has ended."""
        if not self._listen(seconds):
            raise ContentError("The process that watches over all others was ended from outside.")

    def _order(self, order: dict[str, Any]) -> None:
        assert self._guard is not None
        assert self._guard.stdin is not None
        with suppress(BrokenPipeError):  # `wait` says it
            self._guard.stdin.write(json.dumps(order).encode() + b"\n")
            self._guard.stdin.flush()

    def _listen(self, seconds: float) -> bool:
        """Whether the guard is still there after at most so many seconds."""
        assert self._guard is not None
        assert self._guard.stdout is not None
        assert self._guard.stderr is not None
        told, printed = self._guard.stdout.fileno(), self._guard.stderr.fileno()
        ready, _, _ = select.select([told, printed], [], [], seconds)
        if printed in ready:
            for line in self._printed.read(printed):
                self._show(sanitize(line, LINE_BYTES))
        if told not in ready:
            return True
        for message in map(json.loads, self._told.read(told)):
            self.ended[message["name"]] = message["code"]
        return not self._told.over

    def _end(self, patience: float) -> None:
        assert self._guard is not None
        if self._guard.returncode is None:
            self._order({"end": patience})
            deadline = time.monotonic() + patience + MARGIN_SECONDS
            while self._listen(max(deadline - time.monotonic(), 0)):
                if time.monotonic() > deadline:
                    break
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(1)
            processes.end_tree(self._guard)
        if self._guard.returncode:
            processes.end(processes.below(os.getpid()))  # what a guard that was killed has left
        for pipe in (self._guard.stdin, self._guard.stdout, self._guard.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        shutil.rmtree(self.room, ignore_errors=True)


class _Lines:
    """Whole lines out of what a pipe yields; of an endless one, pieces."""

    def __init__(self) -> None:
        self.over = False
        self._begun = b""

    def read(self, descriptor: int) -> list[bytes]:
        data = os.read(descriptor, 65536)
        self.over = not data
        *lines, self._begun = (self._begun + data).split(b"\n")
        if self._begun and (self.over or len(self._begun) > LINE_BYTES):
            lines.append(self._begun)
            self._begun = b""
        return lines


def _show_nothing(_line: str) -> None:
    """Nobody looks any more."""
