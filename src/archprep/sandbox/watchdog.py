"""Watches one running scenario from outside: time, memory and printed output."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.sandbox import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from archprep.sandbox.control_channel import ScenarioProcess
    from archprep.sandbox.deadline import Deadline


MAX_SOCKETS = 512  # of a scenario; each holds at most about 200 kB
MIN_AVAILABLE = 128 << 20  # bytes; below it the kernel would soon kill any process


class Watchdog:
    """The limits of one scenario; `tree_root` is the process above everything in its sandbox."""

    def __init__(
        self,
        process: ScenarioProcess,
        deadline: Deadline,
        tree_root: Callable[[], int | None],
        side_by_side: int,
    ) -> None:
        self._process = process
        self._deadline = deadline
        self._tree_root = tree_root
        self._side_by_side = side_by_side

    def look(self) -> None:
        """Sample run times and memory, if the last look is old enough.

        Raises CandidateError if the scenario uses more memory than it may, or this machine has
        none left.
        """
        if self._deadline.is_due_for_sample():
            everything = processes.below(self._tree_root())
            own = processes.tree_of(self._process.sandbox_pid(), everything)
            self._deadline.sample(own)
            self._check_memory(own, everything)
            self._check_kernel_memory(own)

    def _check_memory(self, own: list[int], everything: list[int]) -> None:
        allowed = self._process.limits.memory_mb << 20
        over = False
        if self._side_by_side > 1:  # the other scenarios must not pay for this one
            over = processes.memory(own, allowed) > allowed
        # Besides the running scenarios one waits, or a stack has been used.
        most = allowed * (self._side_by_side + 1)
        if over or processes.memory(everything, most) > most:
            raise CandidateError(
                Reason.MEMORY,
                f"used more than {self._process.limits.memory_mb:,} MB of memory in all its "
                "processes",
            )

    def _check_kernel_memory(self, own: list[int]) -> None:
        """Limit what no process' memory shows: the data of sockets, which outlives its sender."""
        if own and processes.sockets(own[-1]) > MAX_SOCKETS:
            raise CandidateError(
                Reason.MEMORY,
                f"had more than {MAX_SOCKETS} sockets at the same time, counting connections that "
                "nobody had accepted",
            )
        if processes.available_memory() < MIN_AVAILABLE:
            raise CandidateError(
                Reason.MEMORY,
                f"was ended because this machine had less than {MIN_AVAILABLE >> 20} MB of memory "
                "left",
            )


def read_output(process: ScenarioProcess) -> bytes | None:
    """Read what was printed, without waiting: b"" at its end, None if nothing is there now.

    At level A a scenario is the same user as the judge: it may open the other end of the pipe
    and take out what the judge was about to read.
    """
    try:
        data = os.read(process.log, 65536)
    except BlockingIOError:
        return None
    process.printed += data
    most = process.limits.output_kb
    if len(process.printed) > most * 1024:
        raise CandidateError(Reason.OUTPUT, f"printed more than {most:,} kB in one scenario")
    return data


def drain_output(process: ScenarioProcess) -> None:
    """Read what the ended process had still printed."""
    with suppress(CandidateError):
        while read_output(process):
            pass
