"""A pool of workers that take the next event from a plain list."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
from collections import deque
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


class Subscription:
    def __init__(self, bus, pattern, handler, name, priority, accepts):
        self.bus, self.pattern, self.handler, self.name = bus, pattern, handler, name
        self.priority, self.accepts = priority, accepts
        self.gone = asyncio.Event()

    def cancel(self) -> None:
        self.gone.set()
        if self.bus.by_name.get(self.name) is self:
            del self.bus.by_name[self.name]


@dataclass(eq=False)
class _Entry:
    event: Event
    number: int
    settled: frozenset = frozenset()
    processed: bool = False
    owed: set = field(default_factory=set)  # dead letters not replayed with success


class Bus:
    dead_letters_dropped: int

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
        self.concurrency, self.max_attempts, self.backoff = concurrency, max_attempts, backoff
        self.handler_timeout, self.queue_size, self.limit = (
            handler_timeout,
            queue_size,
            dead_letter_limit,
        )
        self.ttl, self.journal = dedup_ttl, journal
        self.by_name: dict[str, Subscription] = {}
        self.queue: list[_Entry] = []
        self.processing: dict[str, _Entry] = {}
        self.numbers = itertools.count()
        self.coming = 0  # publishers that have been given room
        self.line: deque[asyncio.Future] = deque()
        self.workers: list[asyncio.Task] = []
        self.moved = asyncio.Event()
        self.quiet = asyncio.Event()
        self.succeeded: dict[tuple[str, str], float] = {}
        self.records: list[tuple[DeadLetter, _Entry, object]] = []
        self.dead_letters_dropped = 0
        self.closed = False
        self.strays: set[asyncio.Task] = set()

    @property
    def dead_letters(self):
        return [record[0] for record in self.records]

    def subscribe(self, pattern, handler, *, name, priority=0, accepts=None):
        if name in self.by_name:
            raise ValueError(name)
        self.by_name[name] = Subscription(self, pattern, handler, name, priority, accepts)
        return self.by_name[name]

    # -- publishing

    async def publish(self, event, *, block=True) -> None:
        if self.closed:
            raise RuntimeError("stopped")
        event = copy.deepcopy(replace(event, attempt=1))
        if event.id in self.processing or any(e.event.id == event.id for e in self.queue):
            return
        if len(self.queue) + self.coming < self.queue_size and not self.line:
            self.coming += 1
        elif not block:
            raise asyncio.QueueFull
        else:
            turn = asyncio.get_running_loop().create_future()
            self.line.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self.line:
                    self.line.remove(turn)
                elif not turn.cancelled():
                    self.coming -= 1
                    self._let_in()
                raise
        try:
            if self.journal is not None:
                await self.journal.append(event)
        except BaseException:
            self.coming -= 1
            self._let_in()
            raise
        self.coming -= 1
        self._add(_Entry(event, next(self.numbers)))

    def _add(self, entry):
        self.queue.append(entry)
        self.quiet.clear()
        self.moved.set()
        self._dispatch()

    def _let_in(self):
        while self.line and len(self.queue) + self.coming < self.queue_size:
            turn = self.line.popleft()
            if not turn.done():
                self.coming += 1
                turn.set_result(None)

    def _dispatch(self):
        """Give events to idle workers."""
        while self.idlers and (entry := self._next()):
            self.idlers.popleft().set_result(entry)
        self._let_in()

    idlers: deque = deque()

    def _next(self):
        keys = {e.event.key for e in self.processing.values()} - {None}
        best = None
        for entry in self.queue:
            key = entry.event.key
            if key in keys:
                continue
            if key is not None:
                keys.add(key)
            if best is None or entry.event.priority > best.event.priority:
                best = entry
        if best is not None:
            self.queue.remove(best)
            self.processing[best.event.id] = best
        return best

    async def _work(self):
        while True:
            entry = self._next()
            if entry is None:
                call = asyncio.get_running_loop().create_future()
                self.idlers.append(call)
                entry = await call
            else:
                self._let_in()
            await self._route(entry)
            entry.processed = True
            await self._close_if_done(entry)
            del self.processing[entry.event.id]
            self._dispatch()
            if not self.queue and not self.processing:
                self.quiet.set()

    async def start(self) -> None:
        pending = await self.journal.pending() if self.journal is not None else []
        old, self.queue = self.queue, []
        for event, settled in pending:
            self.queue.append(_Entry(copy.deepcopy(event), next(self.numbers), settled))
        ids = {entry.event.id for entry in self.queue}
        self.queue += [entry for entry in old if entry.event.id not in ids]
        self.idlers = deque()
        self.workers = [asyncio.create_task(self._work()) for _ in range(self.concurrency)]

    async def idle(self) -> None:
        if self.queue or self.processing:
            await self.quiet.wait()

    async def stop(self, *, drain=True, timeout=10.0) -> None:
        self.closed = True
        while self.line:
            turn = self.line.popleft()
            if not turn.done():
                turn.set_exception(RuntimeError("stopped"))
        try:
            if drain:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.idle(), timeout)
        finally:
            for worker in self.workers:
                worker.cancel()
        await asyncio.wait(self.workers)

    # -- handlers

    async def _route(self, entry):
        kind = entry.event.type
        found = [
            s
            for s in self.by_name.values()
            if s.pattern in ("*", kind)
            or (s.pattern[-2:] == ".*" and kind[: len(s.pattern) - 1] == s.pattern[:-1])
        ]
        if not found:
            self._give_up(entry, "routing", None, NoSubscriber(kind), 0)
        for priority in sorted({s.priority for s in found}, reverse=True):
            equals = [s for s in found if s.priority == priority]
            await asyncio.gather(*(self._handle(entry, s) for s in equals))

    def _knows(self, entry, name):
        at = self.succeeded.get((entry.event.id, name))
        return name in entry.settled or (
            at is not None and asyncio.get_running_loop().time() - at <= self.ttl
        )

    async def _handle(self, entry, sub, ask=True):
        if sub.gone.is_set() or self._knows(entry, sub.name):
            return
        if ask and sub.accepts is not None:
            try:
                if not sub.accepts(copy.deepcopy(entry.event)):
                    return
            except Exception as error:
                self._give_up(entry, "filter", sub.name, error, 1)
                return
        number = 1
        while error := await self._try(sub, replace(copy.deepcopy(entry.event), attempt=number)):
            if sub.gone.is_set():
                return
            if number == self.max_attempts:
                self._give_up(entry, "handler", sub.name, error[0], number)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sub.gone.wait(), self.backoff(number))
            if sub.gone.is_set():
                return
            number += 1
        self.succeeded[entry.event.id, sub.name] = asyncio.get_running_loop().time()
        if self.journal is not None:
            await self.journal.settle(entry.event.id, sub.name)

    async def _try(self, sub, event):
        """Return nothing, or a tuple with the error."""

        async def call():
            await sub.handler(event)

        task = asyncio.ensure_future(call())
        self.strays.add(task)
        task.add_done_callback(self.strays.discard)
        timeout = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(
            self.handler_timeout, lambda: timeout.done() or timeout.set_result(None)
        )
        try:
            await asyncio.wait([task, timeout], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            if not task.done():
                task.cancel()
                task.add_done_callback(lambda t: t.cancelled() or t.exception())
        if not task.done():
            return (TimeoutError("too slow"),)
        if task.cancelled():
            return (asyncio.CancelledError(),)
        return (task.exception(),) if task.exception() else ()

    # -- dead letters

    def _give_up(self, entry, stage, name, error, attempts):
        now = asyncio.get_running_loop().time()
        event = copy.deepcopy(entry.event)
        letter = DeadLetter(event, stage, name, type(error).__name__, str(error), attempts, now)
        token = object()
        entry.owed.add(token)
        self.records.append((letter, entry, token))
        while len(self.records) > self.limit:
            del self.records[0]
            self.dead_letters_dropped += 1

    async def _close_if_done(self, entry):
        if self.journal is not None and entry.processed and not entry.owed:
            await self.journal.close(entry.event.id)

    async def replay(self, index) -> None:
        letter, entry, token = self.records[index]
        if letter.handler is not None and letter.handler not in self.by_name:
            raise LookupError(letter.handler)
        self.records.pop(index)
        if letter.handler is None:
            await self._route(entry)
        else:
            sub = self.by_name[letter.handler]
            await self._handle(entry, sub, ask=letter.stage == "filter")
        entry.owed.discard(token)
        await self._close_if_done(entry)
