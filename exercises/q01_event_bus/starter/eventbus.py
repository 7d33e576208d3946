"""Write your event bus here. The types and signatures are fixed, everything inside is yours.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Stage = Literal["routing", "middleware", "filter", "handler"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    id: str
    type: str  # for example "order.paid"
    payload: Mapping[str, Any] = field(default_factory=dict)  # plain data: dict, list, str, numbers
    key: str | None = None  # events of one key are processed one after another
    priority: int = 0  # higher is more urgent
    attempt: int = 1  # set by the bus on the copy that a handler gets
    occurred_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One piece of work that the bus has given up."""

    event: Event  # as it was published
    stage: Stage
    handler: str | None  # its name; None for the stages routing and middleware
    error_type: str  # the name of the exception's class
    error: str  # str(exception)
    attempts: int  # how often it was tried
    at: float  # the loop's time of the failure


Handler = Callable[[Event], Awaitable[None]]
Next = Callable[[Event], Awaitable[None]]
Middleware = Callable[[Event, Next], Awaitable[None]]
Filter = Callable[[Event], bool]


class Journal(Protocol):
    """Durable memory for a bus. The owner of the bus brings one; you only call it (task 4)."""

    async def append(self, event: Event) -> None:
        """Remember an event."""

    async def settle(self, event_id: str, handler: str) -> None:
        """Remember that this handler has succeeded for this event."""

    async def close(self, event_id: str) -> None:
        """Nothing is left to do for this event."""

    async def pending(self) -> list[tuple[Event, frozenset[str]]]:
        """Events not closed, in the order of append(), each with the names of settled handlers."""


class Subscription:
    """What subscribe() returns."""

    def cancel(self) -> None:
        """Never start this handler again, not even for an event that is queued already."""
        raise NotImplementedError("task 1: Subscription.cancel() is yours to write")


class Bus:
    """An event bus on the running asyncio loop."""

    dead_letters: list[DeadLetter]  # the oldest first; an attribute or a property
    dead_letters_dropped: int  # how many went because of dead_letter_limit

    def __init__(
        self,
        *,
        concurrency: int = 8,
        max_attempts: int = 3,
        backoff: Callable[[int], float] = lambda n: 2.0**n,
        handler_timeout: float = 5.0,
        queue_size: int = 1000,
        dead_letter_limit: int = 1000,
        dedup_ttl: float = 3600.0,
        journal: Journal | None = None,
    ) -> None:
        """Make a bus that is not running yet.

        concurrency: how many events may be in processing at a time.
        max_attempts: how often a handler is tried, the first time included.
        backoff: the pause in seconds after failed attempt n (1, 2, ...).
        handler_timeout: the most seconds that one attempt may take.
        queue_size: how many accepted events may wait that are not yet in processing.
        dead_letter_limit: how many dead letters are kept.
        dedup_ttl: how many seconds a success is remembered.
        """
        raise NotImplementedError("task 1: Bus.__init__() is yours to write")

    def subscribe(
        self,
        pattern: str,
        handler: Handler,
        *,
        name: str,
        priority: int = 0,
        accepts: Filter | None = None,
    ) -> Subscription:
        """Have `handler` called for events whose type matches `pattern`: exact, "order.*" or "*".

        Raises ValueError when `name` is in use. Higher priority runs earlier. `accepts` may refuse.
        """
        raise NotImplementedError("task 1: Bus.subscribe() is yours to write")

    def use(self, middleware: Middleware) -> None:
        """Add `async middleware(event, next)`; the first added is the outermost."""
        raise NotImplementedError("task 1: Bus.use() is yours to write")

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event and return; it is processed later.

        Full queue: wait for room, or raise asyncio.QueueFull when `block` is False.
        Raises RuntimeError once stop() has begun.
        """
        raise NotImplementedError("task 1: Bus.publish() is yours to write")

    async def start(self) -> None:
        """Begin to process events, those of the journal first."""
        raise NotImplementedError("task 1: Bus.start() is yours to write")

    async def idle(self) -> None:
        """Return as soon as no event is queued or in processing."""
        raise NotImplementedError("task 1: Bus.idle() is yours to write")

    async def stop(self, *, drain: bool = True, timeout: float = 10.0) -> None:
        """Accept nothing more; finish for at most `timeout` seconds (`drain`); cancel the rest."""
        raise NotImplementedError("task 4: Bus.stop() is yours to write")

    async def replay(self, index: int) -> None:
        """Remove dead_letters[index] and do again what had failed, and only that.

        Raises IndexError when there is no such dead letter.
        """
        raise NotImplementedError("task 2: Bus.replay() is yours to write")
