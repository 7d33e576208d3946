"""The process below which everything runs that `archprep run` starts: it sees to its end.

It adopts what loses its parent. When it is told to end, or when its input ends because archprep
itself was killed, nothing below it stays, nor the folder in which it ran.

    python -m archprep.practice.run.supervisor FOLDER

Orders come as lines of JSON, and so do the ends of what was started; see `process_group`.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from archprep.sandbox import processes

ORPHANED_SECONDS = 2.0  # for a clean end, when nobody is there any more to wish for one
TICK_SECONDS = 0.02
ROUNDS = 5  # of killing: a process may fork while it is looked for
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Start what is ordered, until everything is to end."""
    processes.adopt_orphans()
    guard = Guard()
    try:
        guard.work()
    finally:
        guard.end()
        shutil.rmtree(sys.argv[1], ignore_errors=True)


class Guard:
    """What was started and still runs, by its process."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._orders = b""
        self._ordered = True  # False: the end of the input was seen
        self._patience: float | None = None
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *_ENDINGS):
            signal.signal(number, self._note)

    def work(self) -> None:
        """Obey orders and tell what ended, until the end is ordered, or nobody gives orders."""
        while self._patience is None:
            self._listen(None)
            for name, code in self._reap():
                self._tell({"name": name, "code": code})

    def end(self) -> None:
        """Ask everything to end, wait as long as was ordered, then kill what is left."""
        # Where orphans cannot be adopted, they are found only as long as their parents live.
        known = processes.below(os.getpid())
        for pid in known:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + (self._patience or 0)
        while self._left(known) and time.monotonic() < deadline:
            self._listen(TICK_SECONDS)
            if self._patience == 0:  # ordered meanwhile
                break
        for _ in range(ROUNDS):
            processes.end(self._left(known))

    def _left(self, known: list[int]) -> list[int]:
        self._reap()
        return processes.living({*known, *processes.below(os.getpid())})

    def _note(self, number: int, _frame: object) -> None:
        if number in _ENDINGS and self._patience is None:
            self._patience = ORPHANED_SECONDS

    # -- orders, and what is told ---------------------------------------------------------

    def _listen(self, seconds: float | None) -> None:
        sources = [self._wake, *([0] if self._ordered else [])]
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if 0 in ready:
            self._hear(os.read(0, 65536))

    def _hear(self, data: bytes) -> None:
        if not data:
            self._ordered = False
            if self._patience is None:
                self._patience = ORPHANED_SECONDS
        *lines, self._orders = (self._orders + data).split(b"\n")
        for order in map(json.loads, lines):
            if "end" in order:
                self._patience = order["end"]
            elif self._patience is None:
                self._start(**order)

    def _start(self, name: str, argv: list[str], **how: Any) -> None:
        try:
            self._names[_spawn(argv, **how)] = name
        except OSError as e:
            self._tell({"name": name, "code": e.errno})

    def _reap(self) -> list[tuple[str, int]]:
        """Bury the dead, the adopted ones too; return those that were started by name."""
        ended = []
        with suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if name := self._names.pop(dead[0], None):
                    ended.append((name, os.waitstatus_to_exitcode(dead[1])))
        return ended

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # nobody listens any more: the end of the input says so, too
            os.write(1, json.dumps(message).encode() + b"\n")


def _spawn(
    argv: list[str], *, env: dict[str, str], cwd: str, log: str | None, fds: list[int]
) -> int:
    """Start a process in a session of its own; without a log of its own it writes to ours."""
    with open(log or os.devnull, "ab") as file:  # noqa: PTH123 - no more imports than needed
        process = subprocess.Popen(  # noqa: S603 - as ordered by archprep
            argv,
            env=env,
            cwd=cwd,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=file if log else 2,
            stderr=file if log else 2,
            start_new_session=True,
        )
    process.returncode = 0  # it is waited for by its number, with all the others
    return process.pid


if __name__ == "__main__":
    main()
