"""Write your event bus here. The types and signatures are fixed, everything inside is yours.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Stage = Literal["routing", "filter", "handler"]


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
    handler: str | None  # its name; None for the stage routing
    error_type: str  # the name of the exception's class
    error: str  # str(exception)
    attempts: int  # how often it was tried
    at: float  # the loop's time of the failure


Handler = Callable[[Event], Awaitable[None]]
Filter = Callable[[Event], bool]


class Journal(Protocol):
    """Durable storage. You only call it (task 4)."""

    async def append(self, event: Event) -> None:
        """Store an event."""

    async def settle(self, event_id: str, handler: str) -> None:
        """Store that this handler has succeeded for this event."""

    async def close(self, event_id: str) -> None:
        """Nothing is left to do for this event."""

    async def pending(self) -> list[tuple[Event, frozenset[str]]]:
        """Events not closed, in the order of append(), each with the names of settled handlers."""


class Subscription:
    """What subscribe() returns."""

    def cancel(self) -> None:
        """Never start this handler again."""
        raise NotImplementedError("task 1: Subscription.cancel() is yours to write")


class Bus:
    """An event bus on the running asyncio loop."""

    dead_letters: list[DeadLetter]  # the oldest first; an attribute or a property
    dead_letters_dropped: int  # how many were dropped because of dead_letter_limit

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
        """Make a bus that is not running yet."""
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
        """Have `handler` called for each event whose type matches `pattern` and that `accepts`."""
        raise NotImplementedError("task 1: Bus.subscribe() is yours to write")

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event and return; it is processed later."""
        raise NotImplementedError("task 1: Bus.publish() is yours to write")

    async def start(self) -> None:
        """Begin to process events."""
        raise NotImplementedError("task 1: Bus.start() is yours to write")

    async def idle(self) -> None:
        """Return as soon as no event is queued or in processing."""
        raise NotImplementedError("task 1: Bus.idle() is yours to write")

    async def stop(self, *, drain: bool = True, timeout: float = 10.0) -> None:
        """Accept nothing more; finish for at most `timeout` seconds (`drain`); cancel the rest."""
        raise NotImplementedError("task 4: Bus.stop() is yours to write")

    async def replay(self, index: int) -> None:
        """Remove dead_letters[index] and do again what failed."""
        raise NotImplementedError("task 3: Bus.replay() is yours to write")
