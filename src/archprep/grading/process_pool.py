"""A pool of processes; each runs many jobs, so that it imports pytest only once.

A job may hang, crash its process or be interrupted: whatever happens, none of them stays behind,
not even when this process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, Self, TypeVar

from archprep.workspace.submission import discard

J = TypeVar("J")
R = TypeVar("R")
# Entered once in each process; yields what runs its jobs. Pickled, so a module's function.
Opened = Callable[[], AbstractContextManager[Callable[[J], R]]]
# Makes the outcome of a job whose process has ended with this exit code.
Lost = Callable[[J, "int | None"], R]

END_SECONDS = 5.0  # for a process to remove its sandbox

_INTERRUPT = {signal.SIGINT}


def cores() -> int:
    """The number of processors available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Done(Generic[J, R]):
    """A job and its outcome; `alone` if no other job ran at the same time."""

    number: int
    job: J
    outcome: R
    alone: bool


@dataclass(slots=True)
class _Busy(Generic[J]):
    number: int
    job: J
    alone: bool


class Workers(Generic[J, R]):
    """A pool of processes that run jobs; use as a context manager."""

    def __init__(
        self, count: int, opened: Opened[J, R], lost: Lost[J, R], prefix: str = "archprep-jobs-"
    ) -> None:
        self._count = count
        self._opened = opened
        self._lost = lost
        self._processes: dict[Connection, BaseProcess] = {}
        self._busy: dict[Connection, _Busy[J]] = {}
        # One folder for everything they write: a killed process cannot remove its own.
        self.scratch, self._hold = _held_folder(prefix)

    @property
    def running(self) -> int:
        """The number of running jobs."""
        return len(self._busy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for channel, process in self._processes.items():
            if kind is None:
                with suppress(BrokenPipeError):  # it has ended already
                    channel.send(None)  # no more jobs: it ends
                channel.close()
            else:
                process.terminate()
        for process in self._processes.values():
            _end(process, wake=kind is not None)
        self._processes.clear()
        discard(self.scratch)
        os.close(self._hold)

    def boot(self) -> None:
        """Start the processes without waiting: they import while the jobs are collected."""
        while len(self._processes) < self._count:
            self._start()

    def do(self, jobs: Sequence[J], done: Callable[[], None]) -> list[R]:
        """Run all jobs; return their outcomes in the same order."""
        outcomes: dict[int, R] = {}
        for one in self.each(jobs):
            outcomes[one.number] = one.outcome
            done()
        return [outcomes[number] for number in range(len(jobs))]

    def each(self, jobs: Iterable[J]) -> Iterator[Done[J, R]]:
        """Run all jobs; yield each with its outcome as soon as it is done."""
        waiting = enumerate(jobs)
        self._hand_out(waiting)
        while self._busy:
            ready = [c for c in wait(list(self._busy)) if isinstance(c, Connection)]
            finished = [self._finished(channel) for channel in ready]
            self._hand_out(waiting)  # before the outcomes are processed, which takes time
            yield from finished

    def _hand_out(self, waiting: Iterator[tuple[int, J]]) -> None:
        """Give jobs to idle processes; start processes as needed."""
        while len(self._busy) < self._count and (found := next(waiting, None)) is not None:
            idle = next((c for c in self._processes if c not in self._busy), None)
            channel = self._start() if idle is None else idle
            for other in self._busy.values():
                other.alone = False
            self._busy[channel] = _Busy(*found, alone=not self._busy)
            with suppress(BrokenPipeError):  # the process has ended: reading its outcome will tell
                channel.send(found[1])

    def _finished(self, channel: Connection) -> Done[J, R]:
        busy = self._busy.pop(channel)
        return Done(busy.number, busy.job, self._outcome(channel, busy.job), busy.alone)

    def _outcome(self, channel: Connection, job: J) -> R:
        try:
            outcome: R = channel.recv()
        except (EOFError, ConnectionResetError):
            process = self._processes.pop(channel)
            channel.close()
            process.join()
            return self._lost(job, process.exitcode)
        return outcome

    def _start(self) -> Connection:
        # Not a fork: a sandbox and a pytest session need a clean process.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        given = (theirs, str(self.scratch), self._opened)
        process = context.Process(target=_serve, args=given, daemon=True)
        with _no_interrupt():
            process.start()
            self._processes[ours] = process
        theirs.close()
        return ours


def _end(process: BaseProcess, *, wake: bool) -> None:
    """Give a process time to remove its sandbox, then kill it."""
    deadline = time.monotonic() + END_SECONDS
    while process.is_alive() and time.monotonic() < deadline:
        if wake and process.pid:
            # After Ctrl-C the kernel may give SIGTERM to another of its threads, while the main
            # thread waits. SIGINT does nothing there but wake it, so that it sees both.
            os.kill(process.pid, signal.SIGINT)
        process.join(0.2)
    process.kill()
    process.join()


def _held_folder(prefix: str) -> tuple[Path, int]:
    """A new temporary folder, and the descriptor that holds it for as long as this process lives.

    Those that nobody holds any more are removed: who was killed early had no process yet that
    could have done it.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # another's, or still held
            os.close(_hold(path))
            discard(path)
    # Under another name until it is locked, so that it is not taken for a leftover.
    new = Path(tempfile.mkdtemp(prefix=f"new-{prefix}"))
    hold = _hold(new)
    return new.rename(new.with_name(new.name.removeprefix("new-"))), hold


def _hold(folder: Path) -> int:
    """Lock a folder of this user; OSError if that is impossible."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "owned by another user", str(folder))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Block Ctrl-C for new processes: this one decides, and they must not print tracebacks."""
    resource_tracker.ensure_running()  # starting it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(channel: Connection, scratch: str, opened: Opened[J, R]) -> None:
    """Run jobs until the parent closes the channel, or has ended."""
    # SIGTERM becomes KeyboardInterrupt, which pytest and the judge propagate: blocks are exited.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A handler: a signal that is ignored stays ignored in every program started here.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
    tempfile.tempdir = scratch
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):
        is_gone = _work(channel, opened)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if is_gone:  # its channels close shortly before it counts as ended
            _parent().join(END_SECONDS)
    _leave(Path(scratch))


def _work(channel: Connection, opened: Opened[J, R]) -> bool:
    """Run jobs until there are no more; return whether the parent has ended unexpectedly."""
    try:
        with opened() as do:
            while (job := channel.recv()) is not None:
                channel.send(do(job))
    except KeyboardInterrupt:
        return False
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return True
    return False


def _parent() -> BaseProcess:
    parent = multiprocessing.parent_process()
    assert parent is not None
    return parent


def _leave(scratch: Path) -> None:
    """Remove the files of a parent that was killed."""
    if not _parent().is_alive():
        discard(scratch)


def _end_with_parent() -> None:
    """End this process when its parent has ended: nothing would use the outcomes."""
    _parent().join()
    with suppress(ProcessLookupError):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(END_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)  # its sandbox dies with it
