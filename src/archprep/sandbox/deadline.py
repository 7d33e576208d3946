"""Deadlines that count only the time for which the candidate's processes could have run.

On a loaded machine a process waits for a processor that others are using. Such waiting (the run
delay of Linux' scheduler, in `/proc/<pid>/schedstat`) and the judge's own work are deducted, so
that the load of a machine takes no points. Waiting that a scenario's processes inflict on each
other counts in full: no more is deducted than the processor time they were not given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from archprep.sandbox import processes

SAMPLE_SECONDS = 0.02
HARD_FACTOR = 15  # wall time is limited, too: to this many times the seconds allowed
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_measured() -> bool:
    """Whether this machine tells how long a process has waited for a processor."""
    return Path("/proc/self/schedstat").exists()


class Deadline:
    """Counts the seconds for which a scenario could have run; usable from several threads.

    `sample` must be called about every `SAMPLE_SECONDS`. Between two samples the count goes on
    for at most twice as long: time that was not sampled does not pass.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._threads: dict[int, processes.RunTime] = {}
        self._own: dict[int, processes.RunTime] = {}
        self._working = 0.0  # seconds of the judge's work since the last sample
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Count `seconds` from now on."""
        with self._lock:
            self.seconds = seconds
            self._began = self._sampled = time.monotonic()
            self._counted = self._working = 0.0

    def elapsed(self) -> float:
        """The seconds counted so far."""
        with self._lock:
            unseen = time.monotonic() - self._sampled - self._working
            most = 2 * SAMPLE_SECONDS if is_measured() else unseen
            return self._counted + min(max(unseen, 0.0), most)

    def has_passed(self) -> bool:
        """Whether the time is up."""
        wall = time.monotonic() - self._began
        return self.elapsed() >= self.seconds or wall >= HARD_FACTOR * self.seconds

    def is_due_for_sample(self) -> bool:
        """Whether the last sample is old enough for another one."""
        return time.monotonic() - self._sampled >= SAMPLE_SECONDS

    def sample(self, pids: Iterable[int]) -> None:
        """Count the time since the last sample, less what these processes could not use."""
        threads, own = processes.run_times(pids), processes.run_times([os.getpid()])
        with self._lock:
            now = time.monotonic()
            passed = max(now - self._sampled - self._working, 0.0)
            # What the threads did before the first sample was not in this time.
            before, own_before = self._threads or threads, self._own or own
            waited = _waited(before, threads) + _waited(own_before, own)
            unused = passed - _used(before, threads)
            self._counted += passed - max(min(waited, unused), 0.0)
            self._sampled, self._working = now, 0.0
            self._threads, self._own = threads, own

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of this block: the judge is at work."""
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._working += time.monotonic() - began


def _waited(before: dict[int, processes.RunTime], now: dict[int, processes.RunTime]) -> float:
    """The longest that one of the threads has waited: they wait at the same time."""
    new = processes.RunTime(0.0, 0.0)
    return max(
        (time_.waited - before.get(tid, new).waited for tid, time_ in now.items()), default=0
    )


def _used(before: dict[int, processes.RunTime], now: dict[int, processes.RunTime]) -> float:
    """The time that the threads have made full use of: a thread that ran did not wait."""
    new = processes.RunTime(0.0, 0.0)
    ran = [time_.ran - before.get(tid, new).ran for tid, time_ in now.items()]
    return max(sum(ran) / CORES, max(ran, default=0.0))
