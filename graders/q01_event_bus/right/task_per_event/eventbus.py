"""A task for each accepted event, which waits until it is told to go."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
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


class NoSubscriber(Exception):
    pass


def _resolve(future):
    if not future.done():
        future.set_result(None)


class Subscription:
    def __init__(self, pattern, handler, name, priority, accepts):
        self.pattern, self.handler, self.name = pattern, handler, name
        self.priority, self.accepts = priority, accepts
        self.cancelled = False
        self.pauses = set()

    def cancel(self) -> None:
        self.cancelled = True
        for pause in self.pauses:
            _resolve(pause)

    def wants(self, kind):
        prefix, star, rest = self.pattern.rpartition("*")
        if star and not rest and (not prefix or prefix.endswith(".")):
            return kind.startswith(prefix)
        return kind == self.pattern


class _Flight:
    def __init__(self, event, settled=()):
        self.event, self.settled = event, settled
        self.turn = asyncio.get_running_loop().create_future()
        self.replays = self.letters = 0
        self.landed = self.lost = False


class Bus:
    def __init__(
        self,
        *,
        concurrency=8,
        max_attempts=3,
        backoff=lambda n: 2.0**n,
        handler_timeout=5.0,
        queue_size=1000,
        dead_letter_limit=1000,
        dedup_ttl=3600.0,
        journal=None,
    ) -> None:
        self._free = concurrency
        self._max_attempts, self._backoff, self._timeout = max_attempts, backoff, handler_timeout
        self._queue_size, self._limit, self._ttl = queue_size, dead_letter_limit, dedup_ttl
        self._journal = journal
        self._subscriptions = []
        self._flights = {}  # by id, in the order of publication
        self._waiting = []  # queued, in that order
        self._flying = {}  # tasks of those in processing
        self._lines = []  # publishers that wait for room
        self._idlers = []
        self._forget_at = defaultdict(float)
        self._letters = []
        self._background = set()
        self._go = self._stop = False
        self.dead_letters_dropped = 0

    @property
    def dead_letters(self):
        return [letter for letter, _ in self._letters]

    def subscribe(self, pattern, handler, *, name, priority=0, accepts=None):
        self._subscriptions = [s for s in self._subscriptions if not s.cancelled]
        if name in {s.name for s in self._subscriptions}:
            raise ValueError(f"{name} is in use")
        subscription = Subscription(pattern, handler, name, priority, accepts)
        self._subscriptions.append(subscription)
        return subscription

    async def publish(self, event, *, block=True) -> None:
        if self._stop:
            raise RuntimeError("the bus has stopped")
        if event.id in self._flights:
            return
        event = replace(event, payload=copy.deepcopy(event.payload), attempt=1)
        if len(self._waiting) >= self._queue_size or self._lines:
            if not block:
                raise asyncio.QueueFull
            ticket = asyncio.get_running_loop().create_future()
            self._lines.append(ticket)
            try:
                while not ticket.done() or len(self._waiting) >= self._queue_size:
                    await ticket
                    if len(self._waiting) >= self._queue_size:
                        ticket = asyncio.get_running_loop().create_future()
                        self._lines[0] = ticket
                    if self._stop:
                        raise RuntimeError("the bus has stopped")
                await self._accept(event)
            finally:
                if ticket in self._lines:
                    self._lines.remove(ticket)
                self._pump()
        else:
            await self._accept(event)
            self._pump()

    async def _accept(self, event):
        if self._journal is not None:
            await self._journal.append(event)
        self._queue(_Flight(event))

    def _queue(self, flight):
        self._flights[flight.event.id] = flight
        self._waiting.append(flight)

    def _pump(self):
        while self._go and self._free:
            seen = {f.event.key for f in self._flights.values() if f.turn.done()} - {None}
            ready = []
            for flight in self._waiting:
                key = flight.event.key
                if key is None or key not in seen:
                    ready.append(flight)
                    seen.add(key)
            if not ready:
                break
            flight = max(ready, key=lambda f: f.event.priority)  # the first of the highest
            self._waiting.remove(flight)
            flight.turn.set_result(None)
            self._free -= 1
            task = asyncio.ensure_future(self._fly(flight))
            self._flying[flight] = task
            task.add_done_callback(lambda _, flight=flight: self._land(flight))
        if self._lines and len(self._waiting) < self._queue_size:
            _resolve(self._lines[0])
        if not self._flights:
            for idler in self._idlers:
                _resolve(idler)

    def _land(self, flight):
        del self._flying[flight], self._flights[flight.event.id]
        self._free += 1
        self._pump()

    async def _fly(self, flight):
        await self._route(flight)
        flight.landed = True
        await self._close(flight)

    async def start(self) -> None:
        if self._journal is not None:
            early, self._flights, self._waiting = self._flights, {}, []
            for event, settled in await self._journal.pending():
                payload = copy.deepcopy(event.payload)
                self._queue(_Flight(replace(event, payload=payload), settled))
            for flight in early.values():
                if flight.event.id not in self._flights:
                    self._queue(flight)
        self._go = True
        self._pump()

    async def idle(self) -> None:
        if self._flights:
            self._idlers.append(asyncio.get_running_loop().create_future())
            await self._idlers[-1]

    async def stop(self, *, drain=True, timeout=10.0) -> None:
        self._stop = True
        for ticket in self._lines:
            _resolve(ticket)
        try:
            if drain and self._flights:
                idle = asyncio.get_running_loop().create_future()
                self._idlers.append(idle)
                await asyncio.wait([idle], timeout=timeout)
        finally:
            self._go = False
            flying = list(self._flying.values())
            for task in flying:
                task.cancel()
        if flying:
            await asyncio.wait(flying)

    # -- delivery

    async def _route(self, flight):
        wanted = [s for s in self._subscriptions if s.wants(flight.event.type) and not s.cancelled]
        if not wanted:
            self._bury(flight, "routing", None, NoSubscriber(), 0)
        groups = defaultdict(list)
        for subscription in wanted:
            groups[-subscription.priority].append(subscription)
        for _, group in sorted(groups.items()):
            tasks = [asyncio.ensure_future(self._handle(flight, s)) for s in group]
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:
                for task in tasks:
                    task.cancel()
                raise

    async def _handle(self, flight, s, *, replayed=False):
        event = flight.event
        now = asyncio.get_running_loop().time
        if s.cancelled or s.name in flight.settled or now() < self._forget_at[event.id, s.name]:
            return
        if s.accepts is not None and not replayed:
            try:
                answer = s.accepts(copy.deepcopy(event))
            except Exception as error:
                self._bury(flight, "filter", s.name, error, 1)
                return
            if not answer:
                return
        for number in range(self._max_attempts):
            if number:
                await self._pause(s, self._backoff(number))
                if s.cancelled:
                    return
            error = await self._attempt(s, copy.deepcopy(replace(event, attempt=number + 1)))
            if error is None:
                self._forget_at[event.id, s.name] = now() + self._ttl
                if self._journal is not None:
                    await self._journal.settle(event.id, s.name)
                return
            if s.cancelled:
                return
        self._bury(flight, "handler", s.name, error, self._max_attempts)

    async def _pause(self, s, seconds):
        pause = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(seconds, _resolve, pause)
        s.pauses.add(pause)
        try:
            await pause
        finally:
            timer.cancel()
            s.pauses.discard(pause)

    async def _attempt(self, s, event):
        outcome = asyncio.get_running_loop().create_future()

        async def run():
            try:
                await s.handler(event)
            except (Exception, asyncio.CancelledError) as error:
                result = error
            else:
                result = None
            if not outcome.done():
                outcome.set_result(result)

        def too_late():
            if not outcome.done():
                outcome.set_result(TimeoutError("no end in sight"))
                task.cancel()

        task = asyncio.ensure_future(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        timer = asyncio.get_running_loop().call_later(self._timeout, too_late)
        try:
            return await outcome
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            timer.cancel()

    # -- dead letters

    def _bury(self, flight, stage, name, error, attempts):
        at = asyncio.get_running_loop().time()
        kind = type(error).__name__
        event = copy.deepcopy(flight.event)
        letter = DeadLetter(event, stage, name, kind, str(error), attempts, at)
        flight.letters += 1
        self._letters.append((letter, flight))
        if len(self._letters) > self._limit:
            _, oldest = self._letters.pop(0)
            oldest.letters -= 1
            oldest.lost = True
            self.dead_letters_dropped += 1

    async def _close(self, flight):
        kept = flight.letters or flight.lost or flight.replays or not flight.landed
        if self._journal is not None and not kept:
            await self._journal.close(flight.event.id)

    async def replay(self, index) -> None:
        letter, flight = self._letters[index]
        found = [s for s in self._subscriptions if s.name == letter.handler and not s.cancelled]
        if letter.handler is not None and not found:
            raise LookupError(letter.handler)
        del self._letters[index]
        flight.letters -= 1
        flight.replays += 1
        if letter.handler is None:
            await self._route(flight)
        else:
            await self._handle(flight, found[0], replayed=letter.stage == "handler")
        flight.replays -= 1
        await self._close(flight)
