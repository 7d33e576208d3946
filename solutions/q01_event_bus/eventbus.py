"""An event bus on asyncio: retries, dead letters, keys, priorities, a journal.

`_Schedule` decides which event is next, `_Successes` which handler has done its work already,
`Bus` runs one task per event in processing. All state changes happen between two awaits on one
event loop, so there is a lock in a single place: the door of `publish`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, groupby
from typing import Any, Literal, Protocol

Stage = Literal["routing", "filter", "handler"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    id: str
    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    priority: int = 0
    attempt: int = 1
    occurred_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One piece of work that the bus has given up."""

    event: Event
    stage: Stage
    handler: str | None
    error_type: str
    error: str
    attempts: int
    at: float


Handler = Callable[[Event], Awaitable[None]]
Filter = Callable[[Event], bool]


class Journal(Protocol):
    """Durable storage: what was accepted and which handlers have succeeded."""

    async def append(self, event: Event) -> None:
        """Store an event."""

    async def settle(self, event_id: str, handler: str) -> None:
        """Store that this handler has succeeded for this event."""

    async def close(self, event_id: str) -> None:
        """Nothing is left to do for this event."""

    async def pending(self) -> list[tuple[Event, frozenset[str]]]:
        """Events not closed, in the order of append(), each with the names of settled handlers."""


class NoSubscriber(LookupError):
    """No pattern matches the type of an event."""


@dataclass(eq=False, slots=True)
class Subscription:
    """A handler and the events it wants."""

    pattern: str
    handler: Handler
    name: str
    priority: int
    accepts: Filter | None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def active(self) -> bool:
        """Whether the handler may still be started."""
        return not self.cancelled.is_set()

    def cancel(self) -> None:
        """Never start the handler again, and do not wait for its next attempt."""
        self.cancelled.set()

    def matches(self, event: Event) -> bool:
        """Whether the pattern covers the type of an event."""
        if self.pattern.endswith(".*"):
            return event.type.startswith(self.pattern[:-1])
        return self.pattern in ("*", event.type)


@dataclass(eq=False, slots=True)
class _Job:
    """An accepted event; `left` counts what keeps it open: its processing and its dead letters."""

    event: Event
    settled: frozenset[str] = frozenset()
    left: int = 1


class _Schedule:
    """Queued events: the most urgent first, then the oldest, and one of each key at a time."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, int, _Job]] = []
        self._lines: dict[str, deque[tuple[int, int, _Job]]] = {}  # the first is out of the line
        self._arrival = count()
        self._queued = 0

    def __len__(self) -> int:
        return self._queued

    def add(self, job: _Job) -> None:
        self._queued += 1
        entry = (-job.event.priority, next(self._arrival), job)
        if job.event.key is None:
            heapq.heappush(self._ready, entry)
        elif job.event.key in self._lines:
            self._lines[job.event.key].append(entry)
        else:
            self._lines[job.event.key] = deque()
            heapq.heappush(self._ready, entry)

    def pop(self) -> _Job | None:
        if not self._ready:
            return None
        self._queued -= 1
        return heapq.heappop(self._ready)[-1]

    def release(self, job: _Job) -> None:
        """Let the next event of the same key go."""
        if job.event.key is None:
            return
        if line := self._lines[job.event.key]:
            heapq.heappush(self._ready, line.popleft())
        else:
            del self._lines[job.event.key]


class _Successes:
    """Which handler succeeded for which event id within the last `ttl` seconds."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._until: dict[tuple[str, str], float] = {}  # the oldest first

    def add(self, event_id: str, handler: str) -> None:
        self._until.pop((event_id, handler), None)
        self._until[event_id, handler] = _now() + self._ttl

    def __contains__(self, success: tuple[str, str]) -> bool:
        while self._until and next(iter(self._until.values())) < _now():
            del self._until[next(iter(self._until))]
        return success in self._until


class Bus:
    """Delivers events to handlers: at least once, in order per key, the urgent first."""

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
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._handler_timeout = handler_timeout
        self._queue_size = queue_size
        self._dead_letter_limit = dead_letter_limit
        self._journal = journal
        self._subscriptions: list[Subscription] = []
        self._schedule = _Schedule()
        self._successes = _Successes(dedup_ttl)
        self._live: dict[str, _Job] = {}  # queued or in processing, by event id
        self._processing: set[asyncio.Task[None]] = set()
        self._overdue: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly
        self._buried: deque[tuple[DeadLetter, _Job]] = deque()
        self._door = asyncio.Lock()
        self._change = asyncio.Event()
        self._running = self._stopping = False
        self.dead_letters_dropped = 0

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first."""
        return [letter for letter, _ in self._buried]

    def subscribe(
        self,
        pattern: str,
        handler: Handler,
        *,
        name: str,
        priority: int = 0,
        accepts: Filter | None = None,
    ) -> Subscription:
        """Have `handler` called for each event whose type matches `pattern`."""
        if any(other.name == name for other in self._active()):
            raise ValueError(f"a handler named {name!r} is subscribed already")
        subscription = Subscription(pattern, handler, name, priority, accepts)
        self._subscriptions = [*self._active(), subscription]
        return subscription

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event: into the journal first, then into the queue."""
        event = _private(event)  # what the publisher changes from now on stays outside
        self._refuse_when_stopping()
        if event.id in self._live:
            return
        if self._full() and not block:
            raise asyncio.QueueFull
        async with self._door:  # one publisher at a time: first come, first served
            await self._until(lambda: self._stopping or not self._full())
            self._refuse_when_stopping()
            if self._journal:
                await self._journal.append(event)
            self._enqueue(_Job(event))
            self._dispatch()

    async def start(self) -> None:
        """Begin: first what the journal holds from an earlier life, then what came since."""
        left = await self._journal.pending() if self._journal else []
        jobs = {event.id: _Job(_private(event), settled) for event, settled in left}
        jobs = {**jobs, **{k: job for k, job in self._live.items() if k not in jobs}}
        self._schedule = _Schedule()
        for job in jobs.values():
            self._enqueue(job)
        self._running = True
        self._dispatch()

    async def idle(self) -> None:
        """Return when nothing is queued or in processing."""
        await self._until(lambda: not self._live)

    async def stop(self, *, drain: bool = True, timeout: float = 10.0) -> None:
        """Accept nothing more, finish what can be finished in time, cancel the rest."""
        self._stopping = True
        self._changed()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout if drain else 0):
                    await self.idle()
        finally:  # also when stop() itself is cancelled
            self._running = False
            for task in self._processing:
                task.cancel()
        await asyncio.gather(*self._processing, return_exceptions=True)

    async def replay(self, index: int) -> None:
        """Take a dead letter out and do again what had failed, and only that."""
        letter, job = self._buried[index]
        again = self._work_of(letter, job)
        del self._buried[index]
        await again
        await self._finish(job)

    def _work_of(self, letter: DeadLetter, job: _Job) -> Awaitable[None]:
        if letter.handler is None:
            return self._route(job)
        for subscription in self._active():
            if subscription.name == letter.handler:
                return self._deliver(job, subscription, ask=letter.stage == "filter")
        raise LookupError(f"handler {letter.handler!r} is no longer subscribed")

    # -- from the queue to a task

    def _active(self) -> Iterator[Subscription]:
        return (s for s in self._subscriptions if s.active)

    def _full(self) -> bool:
        return len(self._schedule) >= self._queue_size

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise RuntimeError("the bus is stopping and accepts no more events")

    def _enqueue(self, job: _Job) -> None:
        self._live[job.event.id] = job
        self._schedule.add(job)

    def _dispatch(self) -> None:
        while self._running and len(self._processing) < self._concurrency:
            job = self._schedule.pop()
            if job is None:
                break
            task = asyncio.create_task(self._process(job), name=f"event {job.event.id}")
            self._processing.add(task)
            # A callback, not a `finally`: a task cancelled before its first step runs neither.
            task.add_done_callback(partial(self._leave, job))
        self._changed()

    def _leave(self, job: _Job, task: asyncio.Task[None]) -> None:
        self._processing.discard(task)
        del self._live[job.event.id]
        self._schedule.release(job)
        self._dispatch()

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    # -- one event

    async def _process(self, job: _Job) -> None:
        await self._route(job)
        await self._finish(job)

    async def _finish(self, job: _Job) -> None:
        """Processing or a replay has ended; the last one closes the event."""
        job.left -= 1
        if self._journal and not job.left:
            await self._journal.close(job.event.id)

    async def _route(self, job: _Job) -> None:
        matching = [s for s in self._active() if s.matches(job.event)]
        if not matching:
            error = NoSubscriber(f"no handler for events of type {job.event.type!r}")
            self._bury(job, "routing", None, error, 0)
        matching.sort(key=_urgency)
        for _, equals in groupby(matching, key=_urgency):
            async with asyncio.TaskGroup() as group:
                for subscription in equals:
                    group.create_task(self._deliver(job, subscription))

    async def _deliver(self, job: _Job, subscription: Subscription, *, ask: bool = True) -> None:
        name, accepts = subscription.name, subscription.accepts
        done = name in job.settled or (job.event.id, name) in self._successes
        if done or not subscription.active:
            return
        try:
            wanted = not (ask and accepts) or accepts(_private(job.event))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a dead letter
            self._bury(job, "filter", name, error, 1)
        else:
            if wanted:
                await self._attempts(job, subscription)

    async def _attempts(self, job: _Job, subscription: Subscription) -> None:
        for attempt in range(1, self._max_attempts + 1):
            error = await self._attempt(subscription.handler, _private(job.event, attempt))
            if error is None:
                await self._settle(job, subscription.name)
                return
            if attempt < self._max_attempts:
                await _pause(self._backoff(attempt), subscription)
            if not subscription.active:
                return
        self._bury(job, "handler", subscription.name, error, self._max_attempts)

    async def _attempt(self, handler: Handler, event: Event) -> BaseException | None:
        """Run a handler once and return what went wrong, at the latest when its time is up."""
        task = asyncio.create_task(_awaited(handler, event))
        try:
            # Not wait_for(): that waits until the handler gives in to its cancellation.
            done, _ = await asyncio.wait({task}, timeout=self._handler_timeout)
        finally:
            task.cancel()
        if not done:
            self._overdue.add(task)
            task.add_done_callback(self._overdue.discard)
            return TimeoutError(f"not finished after {self._handler_timeout} s")
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    # -- the outcome

    async def _settle(self, job: _Job, handler: str) -> None:
        self._successes.add(job.event.id, handler)
        if self._journal:
            await self._journal.settle(job.event.id, handler)

    def _bury(
        self, job: _Job, stage: Stage, handler: str | None, error: BaseException, attempts: int
    ) -> None:
        job.left += 1
        kind, text = type(error).__name__, str(error)
        letter = DeadLetter(job.event, stage, handler, kind, text, attempts, _now())
        self._buried.append((letter, job))
        if len(self._buried) > self._dead_letter_limit:
            self._buried.popleft()
            self.dead_letters_dropped += 1


def _now() -> float:
    return asyncio.get_running_loop().time()


def _urgency(subscription: Subscription) -> int:
    return -subscription.priority


def _private(event: Event, attempt: int = 1) -> Event:
    """A copy that shares nothing that can be changed."""
    return replace(event, payload=deepcopy(event.payload), attempt=attempt)


async def _pause(seconds: float, subscription: Subscription) -> None:
    """Wait before the next attempt; there is none if the subscription is cancelled meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await subscription.cancelled.wait()


async def _awaited(handler: Handler, event: Event) -> None:
    await handler(event)
