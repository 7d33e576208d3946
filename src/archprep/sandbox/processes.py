"""What runs below a process, what it holds in memory, and its end. Asks /proc, elsewhere psutil."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from archprep.core.errors import Exit

PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 2.0  # for killed processes to be gone
_ENDINGS = (signal.SIGHUP, signal.SIGTERM)
_HELD = ("RssAnon:", "RssShmem:", "VmSwap:")
_HELD_EXACTLY = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def is_linux() -> bool:
    """Whether the kernel has namespaces, subreapers and /proc."""
    return sys.platform.startswith("linux")


def adopt_orphans() -> None:
    """Become subreaper, so that a killed sandbox's processes are ours to reap."""
    if is_linux():
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(pid: int | None) -> list[int]:
    """The processes below `pid`, nearest first."""
    if pid is None:
        return []
    found = _children(pid)
    for child in found:  # grows while it is walked
        found += _children(child)
    return found


def numbered(number: int | None, pids: Iterable[int]) -> list[int]:
    """The process to which a sandbox gives this number, and those below it.

    A sandbox with a namespace of its own for process ids counts from 1.
    """
    found = next((pid for pid in pids if _number(pid) == number), None)
    return [] if found is None else [found, *below(found)]


def living(pids: Iterable[int]) -> list[int]:
    """Those that still run; a zombie does not."""
    return [pid for pid in pids if _state(pid) not in {"", "Z", "X"}]


class RunTime(NamedTuple):
    """The seconds that a thread has run, and has waited for a processor."""

    ran: float
    waited: float


def run_times(pids: Iterable[int]) -> dict[int, RunTime]:
    """The run times of these processes' threads, by thread id; empty where Linux' /proc is not.

    Source: Documentation/scheduler/sched-stats.rst of the kernel.
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
    """The bytes that these processes hold; beyond `limit`, what they share is counted once."""
    pids = list(pids)
    held = sum(_held(pid) for pid in pids)
    return held if held <= limit else sum(_held_exactly(pid) for pid in pids)


def end(pids: Iterable[int]) -> None:
    """Kill processes and wait until they are gone, reaping those that have become ours."""
    left = list(pids)
    deadline = time.monotonic() + END_SECONDS
    for pid in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    while (left := [pid for pid in left if not _gone(pid)]) and time.monotonic() < deadline:
        time.sleep(0.001)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all below it, and wait until they are gone."""
    # Once it has been waited for, its number may be another process's.
    under = below(process.pid) if process.poll() is None else []
    process.kill()
    process.wait()
    end(under)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C, and signals that are to end a command, back until the block is done.

    For the moments between a process or a folder that is made and the name that it is given:
    an exception in between would leave it behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    came: list[tuple[int, Any]] = []
    before: dict[int, Any] = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    before |= {n: h for n in _ENDINGS if callable(h := signal.getsignal(n))}
    for number in before:
        signal.signal(number, lambda *signal_: came.append(signal_))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            if callable(before[number]):
                before[number](number, frame)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Clean up when the terminal dies or somebody ends the command, too."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(Exit.INTERRUPTED if number == signal.SIGHUP else 128 + number)

    before = {number: signal.signal(number, end) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not living([pid])


def _children(pid: int) -> list[int]:
    if not is_linux():
        return _asked_of_psutil(pid)
    found: list[int] = []
    # A process that ended meanwhile has no children any more: they are its reaper's.
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _number(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):  # here, in the sandbox, in the scenario
                return int(line.split()[1:3][-1])
    return pid


def _asked_of_psutil(pid: int) -> list[int]:
    import psutil

    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children()]
    return []


def _state(pid: int) -> str:
    if is_linux():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, threads = fields[0], int(fields[17])
            # The first thread may end before the others: such a process only looks dead.
            return "S" if state == "Z" and threads > 1 else state
        return ""
    import psutil

    with suppress(psutil.Error):
        return "Z" if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else "R"
    return ""


def _held(pid: int) -> int:
    if is_linux():
        return _kilobytes(f"/proc/{pid}/status", _HELD) or _held_without_leader(pid)
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _held_without_leader(pid: int) -> int:
    """A process whose first thread has ended shows its memory only under another thread."""
    with suppress(OSError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return max((_kilobytes(f"{thread}/status", _HELD) or 0 for thread in threads), default=0)
    return 0


def _held_exactly(pid: int) -> int:
    """A forked process shares most of its parent's memory: each counts its part."""
    exact = _kilobytes(f"/proc/{pid}/smaps_rollup", _HELD_EXACTLY)
    return _held(pid) if exact is None else exact


def _kilobytes(path: str, names: tuple[str, ...]) -> int | None:
    try:
        with open(path) as file:  # noqa: PTH123 - read many times a second
            lines = [line.split() for line in file if line.startswith(names)]
    except OSError:
        return None
    return sum(int(line[1]) for line in lines) << 10
