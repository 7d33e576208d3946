"""An event bus on asyncio: middleware, retries, dead letters, priorities, keys, a journal.

`_Schedule` decides which event is next, `_Memory` which handler has done its work already,
`Bus` runs one task per event in processing. All state changes happen between two awaits on one
event loop, so there is a lock in a single place: the door of `publish`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, groupby
from typing import Any, Literal, Protocol

Stage = Literal["routing", "middleware", "filter", "handler"]
_log = logging.getLogger(__name__)


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
    """One piece of work that was given up."""

    event: Event
    stage: Stage
    handler: str | None
    error_type: str
    error: str
    attempts: int
    at: float


Handler = Callable[[Event], Awaitable[None]]
Next = Callable[[Event], Awaitable[None]]
Middleware = Callable[[Event, Next], Awaitable[None]]
Filter = Callable[[Event], bool]


class Journal(Protocol):
    """Durable memory: what was accepted and which handlers have succeeded."""

    async def append(self, event: Event) -> None:
        """Remember an event."""

    async def settle(self, event_id: str, handler: str) -> None:
        """Remember that this handler has succeeded for this event."""

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

    def matches(self, event_type: str) -> bool:
        """Whether the pattern covers this type."""
        if self.pattern == "*":
            return True
        if self.pattern.endswith(".*"):
            return event_type.startswith(self.pattern[:-1])
        return event_type == self.pattern


@dataclass(eq=False, slots=True)
class _Job:
    """An accepted event; `failed` counts its dead letters that no replay has mended."""

    event: Event
    succeeded: set[str] = field(default_factory=set)
    failed: int = 0
    number: int = 0  # its place in the order of publishing


class _Schedule:
    """Queued events: the most urgent first, then the oldest, and one of each key at a time."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, int, _Job]] = []
        self._lanes: dict[str, deque[_Job]] = {}  # the first of a lane is ready or in processing
        self._arrival = count()
        self._queued = 0

    def __len__(self) -> int:
        return self._queued

    def add(self, job: _Job) -> None:
        self._queued += 1
        job.number = next(self._arrival)
        if job.event.key is not None:
            lane = self._lanes.setdefault(job.event.key, deque())
            lane.append(job)
            if lane[0] is not job:
                return
        self._push(job)

    def pop(self) -> _Job | None:
        if not self._ready:
            return None
        self._queued -= 1
        return heapq.heappop(self._ready)[-1]

    def release(self, job: _Job) -> None:
        """Let the next event of the same key come."""
        if job.event.key is None:
            return
        lane = self._lanes[job.event.key]
        lane.popleft()
        if lane:
            self._push(lane[0])
        else:
            del self._lanes[job.event.key]

    def _push(self, job: _Job) -> None:
        heapq.heappush(self._ready, (-job.event.priority, job.number, job))


class _Memory:
    """Which handler succeeded for which event id within the last `ttl` seconds."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._at: dict[tuple[str, str], float] = {}  # oldest first

    def add(self, event_id: str, handler: str) -> None:
        self._forget()
        self._at.pop((event_id, handler), None)
        self._at[event_id, handler] = _now()

    def knows(self, event_id: str, handler: str) -> bool:
        self._forget()
        return (event_id, handler) in self._at

    def _forget(self) -> None:
        horizon = _now() - self._ttl
        while self._at and next(iter(self._at.values())) < horizon:
            del self._at[next(iter(self._at))]


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
        self._middleware: list[Middleware] = []
        self._schedule = _Schedule()
        self._memory = _Memory(dedup_ttl)
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

    def use(self, middleware: Middleware) -> None:
        """Add a middleware inside those added before."""
        self._middleware.append(middleware)

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event: into the journal first, then into the queue."""
        event = _private(event)  # what the publisher changes from now on stays outside
        if self._turned_away(event, block=block):
            return
        async with self._door:  # one publisher at a time: first come, first served
            if block:
                await self._until(lambda: self._stopping or not self._full())
            if self._turned_away(event, block=block):
                return
            if self._journal:
                await self._journal.append(event)
            self._enqueue(_Job(event))
            self._dispatch()

    async def start(self) -> None:
        """Begin: first what the journal holds from an earlier life, then what came since."""
        left = await self._journal.pending() if self._journal else []
        early = list(self._live.values())  # the journal lists these as well
        known = set(self._live)
        self._schedule = _Schedule()
        for event, settled in left:
            if event.id in known:
                self._live[event.id].succeeded |= settled
            else:
                self._enqueue(_Job(_private(event), set(settled)))
        for job in early:
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
            if drain and self._running:
                async with asyncio.timeout(timeout):
                    await self.idle()
        except TimeoutError:
            pass
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
        try:
            await again()
        except asyncio.CancelledError:
            job.failed -= 1
            self._keep(letter, job)
            raise
        job.failed -= 1  # only now: another replay must not close the event meanwhile
        if self._live.get(job.event.id) is not job:  # else _process() closes it
            await self._close(job)

    def _work_of(self, letter: DeadLetter, job: _Job) -> Callable[[], Awaitable[None]]:
        if letter.handler is None:
            return partial(self._through_middleware, job)
        for subscription in self._active():
            if subscription.name == letter.handler:
                ask = letter.stage == "filter"
                return partial(self._deliver, job, letter.event, subscription, ask=ask)
        raise LookupError(f"handler {letter.handler!r} is no longer subscribed")

    # -- from the queue to a task

    def _active(self) -> Iterator[Subscription]:
        return (s for s in self._subscriptions if s.active)

    def _full(self) -> bool:
        return len(self._schedule) >= self._queue_size

    def _turned_away(self, event: Event, *, block: bool) -> bool:
        """Whether the event is in the bus already; raises when it cannot come in."""
        if self._stopping:
            raise RuntimeError("the bus is stopping and accepts no more events")
        if event.id in self._live:
            return True
        if self._full() and not block:
            raise asyncio.QueueFull
        return False

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
        await self._through_middleware(job)
        if not _cancelled_from_outside():  # a middleware may have swallowed that
            await self._close(job)

    async def _through_middleware(self, job: _Job) -> None:
        step: Next = partial(self._handle, job)
        for middleware in reversed(self._middleware):
            step = partial(_call, middleware, step)
        try:
            await step(_private(job.event))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancelled_from_outside():
                raise
            self._bury(job, job.event, "middleware", error)

    async def _handle(self, job: _Job, event: Event) -> None:
        matching = [s for s in self._active() if s.matches(event.type)]
        if not matching:
            error = NoSubscriber(f"no handler for events of type {event.type!r}")
            self._bury(job, job.event, "routing", error, attempts=0)
        matching.sort(key=_urgency)
        for _, equals in groupby(matching, key=_urgency):
            async with asyncio.TaskGroup() as group:
                for subscription in equals:
                    group.create_task(self._deliver(job, event, subscription))

    async def _deliver(
        self, job: _Job, event: Event, subscription: Subscription, *, ask: bool = True
    ) -> None:
        name, accepts = subscription.name, subscription.accepts
        if name in job.succeeded or self._memory.knows(job.event.id, name):
            return
        if not subscription.active:
            return
        try:
            wanted = not ask or accepts is None or accepts(_private(event))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a dead letter
            self._bury(job, event, "filter", error, name)
        else:
            if wanted:
                await self._attempts(job, event, subscription)

    async def _attempts(self, job: _Job, event: Event, subscription: Subscription) -> None:
        name = subscription.name
        for attempt in range(1, self._max_attempts + 1):
            if not subscription.active:
                return
            error = await self._attempt(subscription.handler, _private(event, attempt))
            if error is None:
                await self._settle(job, name)
                return
            if attempt == self._max_attempts:
                self._bury(job, event, "handler", error, name, attempt)
            else:
                await _pause(self._backoff(attempt), subscription)

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
        try:
            task.result()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            return error
        return None

    # -- the outcome

    async def _settle(self, job: _Job, handler: str) -> None:
        job.succeeded.add(handler)
        self._memory.add(job.event.id, handler)
        if self._journal:
            await _attend(self._journal.settle(job.event.id, handler))

    async def _close(self, job: _Job) -> None:
        if self._journal and not job.failed:
            await _attend(self._journal.close(job.event.id))

    def _bury(
        self,
        job: _Job,
        event: Event,
        stage: Stage,
        error: BaseException,
        handler: str | None = None,
        attempts: int = 1,
    ) -> None:
        kind = type(error).__name__
        self._keep(DeadLetter(event, stage, handler, kind, str(error), attempts, _now()), job)

    def _keep(self, letter: DeadLetter, job: _Job) -> None:
        job.failed += 1
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


async def _call(middleware: Middleware, rest: Next, event: Event) -> None:
    await middleware(event, rest)


async def _awaited(handler: Handler, event: Event) -> None:
    await handler(event)


async def _attend(receipt: Awaitable[None]) -> None:
    """Write a receipt. Losing one is safe: after a crash that handler runs once more."""
    try:
        await receipt
    except Exception:  # noqa: BLE001 - a journal may fail as it likes
        _log.exception("the journal did not take a receipt")


def _cancelled_from_outside() -> bool:
    """Tell stop() cancelling this task from code that raises CancelledError by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
