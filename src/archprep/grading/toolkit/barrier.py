"""Holds back calls of judge-side fakes until all have arrived: concurrency without a clock.

A fake returns `barrier.arrive(value)`. While the barrier is closed the call is not answered; the
judge waits until enough calls have arrived and answers them in an order of its choice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from archprep.sandbox.fakes import HeldReply

PATIENCE = 5.0  # seconds of the judge's clock


class Barrier:
    """Holds every call that arrives, until the judge releases them or opens it.

    `count` is how many calls the judge waits for. With `opens_itself` the last of them opens the
    barrier, for probes during which the judge cannot wait.
    """

    def __init__(self, count: int = 1, *, closed: bool = True, opens_itself: bool = False) -> None:
        self.count = count
        self._closed = closed
        self._opens_itself = opens_itself
        self._held: list[tuple[HeldReply, Any]] = []
        self._changed = threading.Condition()

    def arrive(self, value: Any = None) -> Any:
        """Return what a fake's method has to return for its call to be answered with `value`."""
        with self._changed:
            if not self._closed:
                return value
            held = HeldReply()
            self._held.append((held, value))
            self._changed.notify_all()
            complete = self._opens_itself and len(self._held) >= self.count
        if complete:
            self.open()
        return held

    @property
    def waiting(self) -> int:
        """The number of calls that are held back now."""
        return len(self._held)

    def is_full(self) -> bool:
        """Whether `count` calls are held back; for `web.wait_until(barrier.is_full)`."""
        return self.waiting >= self.count

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until it is full or the time is up; return the number of calls held back."""
        with self._changed:
            self._changed.wait_for(self.is_full, seconds)
            return self.waiting

    def release(self, order: Sequence[int] | None = None) -> None:
        """Answer the held calls, all or those in `order`, without opening the barrier.

        `order` has numbers of arrival, counted from 0 among the calls held back now.
        """
        with self._changed:
            chosen = range(len(self._held)) if order is None else order
            released = [self._held[number] for number in chosen]
            self._held = [held for held in self._held if held not in released]
        for reply, value in released:
            reply.release(value)

    def open(self) -> None:
        """Answer the held calls and let later ones pass."""
        with self._changed:
            self._closed = False
        self.release()

    def close(self, count: int | None = None) -> None:
        """Hold back calls from now on; `count` replaces the number to wait for."""
        with self._changed:
            self.count = self.count if count is None else count
            self._closed = True
