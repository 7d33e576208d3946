"""Runs one command, and ends everything below it when archprep ends, in whatever way.

    python -m archprep.practice.run.supervisor FOLDER COMMAND...

Standard input is a pipe from archprep. When it closes, all processes below get SIGTERM and, after
the number of seconds that was written to the pipe, SIGKILL; then FOLDER is removed. If archprep
was killed, nothing was written. The exit code is that of the command, or 128 + its signal.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

from archprep.sandbox import processes

ORPHANED_SECONDS = 2.0  # between SIGTERM and SIGKILL, if archprep was killed
TICK_SECONDS = 0.05
KILL_ROUNDS = 5  # a process may fork while the others are being killed


def main(folder: str, *command: str) -> None:
    """Run the command until it or archprep ends."""
    processes.adopt_orphans()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)
    # Not close_fds: the command may need a socket that archprep has passed on.
    process = subprocess.Popen(  # noqa: S603 - archprep's own command
        command, stdin=subprocess.DEVNULL, start_new_session=True, close_fds=False
    )
    while process.poll() is None:
        if select.select([0], [], [], TICK_SECONDS)[0]:
            end_all(_patience())
            shutil.rmtree(folder, ignore_errors=True)
            return
    end_all(0)
    code = process.returncode
    sys.exit(code if code >= 0 else 128 - code)


def end_all(patience: float) -> None:
    """End all processes below this one; those left after `patience` seconds are killed."""
    # Where orphans are not adopted, they can only be found while their parents are alive.
    known = processes.below(os.getpid())
    for pid in known:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while _remaining(known) and time.monotonic() < deadline:
        time.sleep(TICK_SECONDS)
    for _ in range(KILL_ROUNDS):
        processes.end(_remaining(known))


def _remaining(known: list[int]) -> list[int]:
    return processes.living({*known, *processes.below(os.getpid())})


def _patience() -> float:
    return float(sys.stdin.read() or ORPHANED_SECONDS)


def _ignore(_number: int, _frame: object) -> None:
    """Leave it to archprep; unlike SIG_IGN, the command does not inherit this."""


if __name__ == "__main__":
    main(*sys.argv[1:])
