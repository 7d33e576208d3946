"""Process trees: their members, memory and run times, and how to end them.

Reads /proc on Linux and asks psutil elsewhere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from archprep.core.errors import Exit

PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 2.0  # for killed processes to be gone
_TERMINATION_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
_MEMORY_FIELDS = ("RssAnon:", "RssShmem:", "VmSwap:")
_PROPORTIONAL_FIELDS = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def is_linux() -> bool:
    """Whether the kernel has namespaces, subreapers and /proc."""
    return sys.platform.startswith("linux")


def adopt_orphans() -> None:
    """Become a subreaper, so that this process can reap what a killed sandbox leaves."""
    if is_linux():
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(pid: int | None) -> list[int]:
    """Return the descendants of `pid`, nearest first."""
    if pid is None:
        return []
    found = _children(pid)
    for child in found:  # grows while it is iterated
        found += _children(child)
    return found


def tree_of(sandbox_pid: int | None, pids: Iterable[int]) -> list[int]:
    """Return the process with this id in its sandbox, and its descendants.

    A sandbox with its own namespace counts process ids from 1.
    """
    found = next((pid for pid in pids if _sandbox_pid(pid) == sandbox_pid), None)
    return [] if found is None else [found, *below(found)]


def living(pids: Iterable[int]) -> list[int]:
    """Return those that still run; a zombie does not."""
    return [pid for pid in pids if _state(pid) not in {"", "Z", "X"}]


class RunTime(NamedTuple):
    """The seconds for which a thread has run, and has waited for a processor."""

    ran: float
    waited: float


def run_times(pids: Iterable[int]) -> dict[int, RunTime]:
    """Return the run times of these processes' threads, by thread id; empty outside Linux.

    Source: the kernel's Documentation/scheduler/sched-stats.rst.
    """
    found = {}
    for pid in pids:
        with suppress(OSError):  # it ended meanwhile
            for tid in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - read many times a second
                with open(f"/proc/{pid}/task/{tid}/schedstat") as file:  # noqa: PTH123
                    ran, waited, _ = file.read().split()
                found[int(tid)] = RunTime(int(ran) / 1e9, int(waited) / 1e9)
    return found


def memory(pids: Iterable[int], limit: int) -> int:
    """Return the bytes that these processes use.

    Only if the sum exceeds `limit`, shared memory is counted once, which takes longer.
    """
    pids = list(pids)
    used = sum(_memory(pid) for pid in pids)
    return used if used <= limit else sum(_proportional_memory(pid) for pid in pids)


def sockets(pid: int) -> int:
    """Return how many sockets the network namespace of a process holds, accepted or not.

    0 if it shares the network of this process, or has ended. Source: the first line of
    /proc/<pid>/net/sockstat, which counts every socket of the namespace.
    """
    with suppress(OSError, ValueError):
        if os.stat(f"/proc/{pid}/ns/net").st_ino != _own_network():  # noqa: PTH116 - as above
            with open(f"/proc/{pid}/net/sockstat") as file:  # noqa: PTH123 - read often
                return int(file.readline().rpartition(" ")[2])
    return 0


def available_memory() -> int:
    """Return the bytes of memory that this machine could still give; a large number elsewhere."""
    return _bytes("/proc/meminfo", ("MemAvailable:",)) or sys.maxsize


def end(pids: Iterable[int]) -> None:
    """Kill processes and wait until they are gone, reaping those that this process adopted."""
    left = list(pids)
    deadline = time.monotonic() + END_SECONDS
    for pid in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    while (left := [pid for pid in left if not _gone(pid)]) and time.monotonic() < deadline:
        time.sleep(0.001)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its descendants, and wait until they are gone."""
    # Once the process has been reaped, its id may be reused.
    descendants = below(process.pid) if process.poll() is None else []
    process.kill()
    process.wait()
    end(descendants)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer Ctrl-C and termination signals until the end of the block.

    For the moment between creating a process or folder and assigning it to a name: an exception
    in between would leave it behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    received: list[tuple[int, Any]] = []
    before: dict[int, Any] = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    before |= {n: h for n in _TERMINATION_SIGNALS if callable(h := signal.getsignal(n))}
    for number in before:
        signal.signal(number, lambda *signal_: received.append(signal_))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in received[:1]:
            if callable(before[number]):
                before[number](number, frame)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise SystemExit at SIGHUP and SIGTERM, so that the command cleans up."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(Exit.INTERRUPTED if number == signal.SIGHUP else 128 + number)

    before = {number: signal.signal(number, end) for number in _TERMINATION_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@cache
def _own_network() -> int:
    return Path("/proc/self/ns/net").stat().st_ino


def _gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not living([pid])


def _children(pid: int) -> list[int]:
    if not is_linux():
        return _children_from_psutil(pid)
    found: list[int] = []
    # A process that has ended has no children: its reaper has adopted them.
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _sandbox_pid(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):  # here, in the sandbox, in the scenario
                return int(line.split()[1:3][-1])
    return pid


def _children_from_psutil(pid: int) -> list[int]:
    import psutil

    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children()]
    return []


def _state(pid: int) -> str:
    if is_linux():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, threads = fields[0], int(fields[17])
            # If only the first thread has ended, the process looks like a zombie.
            return "S" if state == "Z" and threads > 1 else state
        return ""
    import psutil

    with suppress(psutil.Error):
        return "Z" if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else "R"
    return ""


def _memory(pid: int) -> int:
    if is_linux():
        return _bytes(f"/proc/{pid}/status", _MEMORY_FIELDS) or _memory_without_leader(pid)
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _memory_without_leader(pid: int) -> int:
    """A process whose first thread has ended shows its memory only under its other threads."""
    with suppress(OSError):
        statuses = [f"{thread}/status" for thread in Path(f"/proc/{pid}/task").iterdir()]
        return max((_bytes(status, _MEMORY_FIELDS) or 0 for status in statuses), default=0)
    return 0


def _proportional_memory(pid: int) -> int:
    """A process' memory, with its share of what it shares with others, such as a fork's pages."""
    proportional = _bytes(f"/proc/{pid}/smaps_rollup", _PROPORTIONAL_FIELDS)
    return _memory(pid) if proportional is None else proportional


def _bytes(path: str, names: tuple[str, ...]) -> int | None:
    """The sum of these fields; None if the file cannot be read."""
    try:
        with open(path) as file:  # noqa: PTH123 - read many times a second
            lines = [line.split() for line in file if line.startswith(names)]
    except OSError:
        return None
    return sum(int(line[1]) for line in lines) << 10
