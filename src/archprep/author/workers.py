"""The processes that grade: each does job after job, so that pytest is imported once in each.

A job may hang, crash its process or be interrupted: whatever happens, none of them stays behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

from archprep.author.proof import Job, Outcome
from archprep.intake import discard

END_SECONDS = 5.0  # for a process to clear away its sandbox

_INTERRUPT = {signal.SIGINT}


def cores() -> int:
    """How many processes can run at a time here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """A few processes that do jobs; use as a context manager."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: dict[Connection, BaseProcess] = {}
        # One folder for all they write: a process that is killed cannot clear away its own.
        self._scratch = Path(tempfile.mkdtemp(prefix="archprep-author-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for channel, process in self._processes.items():
            if kind is None:
                channel.close()  # it has no job: that ends it
            else:
                process.terminate()
        for process in self._processes.values():
            process.join(END_SECONDS)
            process.kill()
            process.join()
        self._processes.clear()
        discard(self._scratch)

    def do(self, jobs: Sequence[Job], done: Callable[[], None]) -> list[Outcome]:
        """Do all jobs; return what came of them, in their order."""
        outcomes: dict[int, Outcome] = {}
        waiting = iter(range(len(jobs)))
        busy: dict[Connection, int] = {}
        while True:
            for channel, number in zip(self._idle(busy, len(jobs)), waiting, strict=False):
                busy[channel] = number
                with suppress(BrokenPipeError):  # a process that is gone: its outcome will say so
                    channel.send(jobs[number])
            if not busy:
                return [outcomes[number] for number in range(len(jobs))]
            for channel in [c for c in wait(list(busy)) if isinstance(c, Connection)]:
                number = busy.pop(channel)
                outcomes[number] = self._outcome(channel, jobs[number])
                done()

    def _outcome(self, channel: Connection, job: Job) -> Outcome:
        try:
            outcome: Outcome = channel.recv()
        except (EOFError, ConnectionResetError):
            process = self._processes.pop(channel)
            channel.close()
            process.join()
            return Outcome(job, fault=f"grading {job.name} ended its process ({process.exitcode}).")
        return outcome

    def _idle(self, busy: Container[Connection], most: int) -> Iterator[Connection]:
        """Processes without a job; they are started as they are asked for."""
        yield from [channel for channel in self._processes if channel not in busy]
        while len(self._processes) < min(self._count, most):
            yield self._start()

    def _start(self) -> Connection:
        # Not a fork: a sandbox and a pytest session start from a clean process.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, str(self._scratch)), daemon=True)
        with _no_interrupt():
            process.start()
            self._processes[ours] = process
        theirs.close()
        return ours


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; ours decides, theirs must not print about it."""
    resource_tracker.ensure_running()  # multiprocessing's helper, whose start would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(channel: Connection, scratch: str) -> None:
    """Do what comes until the other side hangs up."""
    # SIGTERM interrupts, which pytest and the judge pass on: every `with` on the way is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A handler of our own, since a signal that is ignored stays so in every program started here.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
    tempfile.tempdir = scratch
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        from archprep.author.play import Player

        with Player() as player:
            while True:
                channel.send(player.play(channel.recv()))
