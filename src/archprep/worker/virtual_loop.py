"""An asyncio event loop in virtual time, for probes whose code sleeps, times out or retries.

When no callback is ready, time jumps to the next timer: an hour of back-off takes no time, and
instants are exact. Code that waits for something that never happens, or keeps the loop busy
without end, is detected at once instead of costing the scenario its time limit.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

TURNS = 3000  # of the loop within one instant, until it counts as spinning
FOR_THREADS = 0.05  # real seconds that a thread may take to wake an otherwise idle loop

_kept: list[VirtualLoop] = []  # collecting a loop with tasks left would print warnings


class StuckError(Exception):
    """The loop will never make progress again; the text is "waits" or "spins"."""


class _Clock(selectors.DefaultSelector):
    """Never waits: when no callback is ready, time jumps to the next timer."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self.now = 0.0
        self._until = until
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self._count_turn()
        elif timeout is None:
            ready = self._wait_for_threads()
        else:
            self._jump(timeout)
        return ready

    def _count_turn(self) -> None:
        self._turns += 1
        if self._turns > TURNS:
            raise StuckError("spins")

    def _wait_for_threads(self) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(FOR_THREADS):
            return ready
        raise StuckError("waits")

    def _jump(self, seconds: float) -> None:
        self._turns = 0
        self.now += seconds
        if self.now > self._until:
            raise StuckError("waits")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time begins at 0.0 and ends at `until`.

    `expected` recognises errors that the probe itself raises; any other one that ends a task or a
    callback is kept for `crash()`.
    """

    def __init__(
        self,
        until: float = float("inf"),
        expected: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._virtual_clock = _Clock(until)
        self._expected = expected
        self._all_tasks: list[asyncio.Task[Any]] = []
        self._errors: list[BaseException] = []
        super().__init__(self._virtual_clock)
        self.set_task_factory(self._new_task)
        self.set_exception_handler(self._report)
        _kept.append(self)

    def time(self) -> float:
        """The virtual seconds since the loop was made."""
        return self._virtual_clock.now

    def play(self, main: Coroutine[Any, Any, Any]) -> str:
        """Run `main` to its end; return "", or how the loop got stuck: "waits" or "spins"."""
        try:
            self.run_until_complete(main)
        except StuckError as e:
            return str(e)
        return ""

    def crash(self) -> BaseException | None:
        """The first unexpected error that ended a task or a callback, if any."""
        ended = [task for task in self._all_tasks if task.done() and not task.cancelled()]
        errors = [*self._errors, *(error for task in ended if (error := task.exception()))]
        return next((error for error in errors if not self._expected(error)), None)

    def _new_task(self, _: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._all_tasks.append(asyncio.Task(coro, loop=self, **options))
        return self._all_tasks[-1]

    def _report(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or not self._expected(error):
            self._errors += [] if error is None else [error]
            self.default_exception_handler(context)
