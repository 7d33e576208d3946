"""An in-process event bus on asyncio. README.md has the rules.

How it works:

* Queued events live in a heap of those that may go now, plus one line per busy key. `_dispatch()`
  gives free places to the best of them, synchronously, so that "queued" and "in processing" are
  always exactly what the README says. A fixed pool of `concurrency` workers waits on a Condition
  and takes what was dispatched; no event has a task of its own.
* Each *attempt* of a handler is a task, because a handler may ignore its cancellation and the bus
  has to be able to walk away from it.
* A `_Run` is one pass over an event, by a worker or by replay(). stop() abandons runs: what belongs
  to an abandoned run has no effect any more, however long it clings to life.
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import itertools
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal, Protocol

Stage = Literal["routing", "middleware", "filter", "handler"]

_log = logging.getLogger(__name__)


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


def _copy(data: Any) -> Any:
    """Copy plain data deeply; any Mapping (also a frozen one) becomes a dict."""
    if isinstance(data, Mapping):
        return {name: _copy(value) for name, value in data.items()}
    if type(data) is list:
        return [_copy(value) for value in data]
    if type(data) is tuple:
        return tuple(_copy(value) for value in data)
    if data is None or isinstance(data, (str, int, float, bytes)):
        return data
    return copy.deepcopy(data)


def _private(event: Event, **changes: Any) -> Event:
    """Copy an event so that nobody else can reach its payload."""
    return replace(event, payload=_copy(event.payload), **changes)


def _matches(pattern: str, type_: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return type_.startswith(pattern[:-1])
    return pattern == type_


def _wake(futures: Iterable[asyncio.Future[Any]]) -> None:
    for future in list(futures):
        if not future.done():
            future.set_result(None)


class Subscription:
    """What subscribe() returns."""

    def __init__(
        self,
        bus: Bus,
        pattern: str,
        handler: Handler,
        name: str,
        priority: int,
        accepts: Filter | None,
    ) -> None:
        self._bus = bus
        self.pattern = pattern
        self.handler = handler
        self.name = name
        self.priority = priority
        self.accepts = accepts
        self.active = True
        self._pauses: set[asyncio.Future[None]] = set()  # handlers that wait for their retry

    def cancel(self) -> None:
        """Never start this handler again, not even for an event that is queued already."""
        if self.active:
            self.active = False
            del self._bus._subscriptions[self.name]
            _wake(self._pauses)

    async def _pause(self, until: float) -> None:
        """Wait until an instant, or until nobody needs the retry any more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(until, _wake, (future,))
        self._pauses.add(future)
        try:
            await future
        finally:
            self._pauses.discard(future)
            timer.cancel()


@dataclass(eq=False, slots=True)
class _Run:
    """One pass over an event, by a worker or by replay()."""

    event: Event  # as it was published
    done: set[str]  # handlers that have succeeded for this publication; its dead letters share it
    task: asyncio.Task[Any] | None = None  # the worker, or the task of the replay
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)  # handlers and attempts under way
    writes: set[asyncio.Task[None]] = field(default_factory=set)  # calls of settle() under way
    letters: int = 0
    inside: int = 0  # calls of `next` under way
    left: asyncio.Future[None] | None = None  # set when the last of those has returned
    abandoned: bool = False
    over: asyncio.Future[None] | None = None  # tells the caller of replay()

    def abandon(self) -> None:
        """Cancel everything; nothing that it still does counts."""
        self.abandoned = True
        if self.over is not None:
            _wake([self.over])
        for task in [*self.tasks, self.task]:
            if task is not None:
                task.cancel()


@dataclass(eq=False, slots=True)
class _Entry:
    """An event that is queued or in processing."""

    run: _Run
    number: int  # the order of publication


@dataclass(eq=False, slots=True)
class _Record:
    """What replay() needs to know about a dead letter."""

    letter: DeadLetter
    number: int
    published: Event
    seen: Event  # as the middleware passed it on
    done: set[str]


class _NoLock:
    """A Condition insists on a lock, but no critical section here has an await in it.

    So none is needed, and notify() can be called from plain functions.
    """

    def locked(self) -> bool:
        return True

    async def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


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
        if concurrency < 1 or max_attempts < 1:
            raise ValueError("concurrency and max_attempts have to be at least 1")
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._handler_timeout = handler_timeout
        self._queue_size = queue_size
        self._dead_letter_limit = dead_letter_limit
        self._dedup_ttl = dedup_ttl
        self._journal = journal

        self._subscriptions: dict[str, Subscription] = {}
        self._middleware: list[Middleware] = []

        # the queue
        self._active: dict[str, _Entry] = {}  # queued or in processing, by id
        self._numbers = itertools.count()
        self._heap: list[tuple[int, int, _Entry]] = []  # queued, and its key is free
        self._keys: dict[str, deque[_Entry]] = {}  # busy keys, each with the events that wait
        self._queued = 0
        self._free = concurrency  # free places

        # publishers
        self._reserved = 0  # room in the queue promised to publishers that are about to use it
        self._line: deque[asyncio.Future[bool]] = deque()  # who waits for room
        self._waiting: dict[str, list[asyncio.Future[bool]]] = {}  # the same, by id
        self._writing: dict[
            str, asyncio.Future[None]
        ] = {}  # ids with append() or close() under way
        self._adopted: set[str] = set()  # start() has queued them while append() was under way

        # work
        self._dispatched: deque[_Entry] = deque()  # has its place, a worker is about to take it
        self._work = asyncio.Condition(_NoLock())  # type: ignore[arg-type]
        self._workers: list[asyncio.Task[None]] = []
        self._runs: set[_Run] = set()
        self._replays = 0
        self._background: set[asyncio.Task[Any]] = set()  # strong references
        self._quiet: set[asyncio.Future[None]] = set()  # idle() and stop()

        # memory
        self.dead_letters = []
        self.dead_letters_dropped = 0
        self._records: dict[int, _Record] = {}  # by id() of the dead letter
        self._successes: dict[tuple[str, str], float] = {}  # the oldest first
        self._owed: dict[str, set[int]] = {}  # journal: dead letters not replayed yet, by event id
        self._open: set[str] = set()  # journal: events not closed

        self._starting = asyncio.Lock()
        self._started = False
        self._stopping = False

    # ------------------------------------------------------------------ subscriptions

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
        if name in self._subscriptions:
            raise ValueError(f"there is a subscription named {name!r} already")
        subscription = Subscription(self, pattern, handler, name, priority, accepts)
        self._subscriptions[name] = subscription
        return subscription

    def use(self, middleware: Middleware) -> None:
        """Add `async middleware(event, next)`; the first added is the outermost."""
        self._middleware.append(middleware)

    # ------------------------------------------------------------------ publishing

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event and return; it is processed later.

        Full queue: wait for room, or raise asyncio.QueueFull when `block` is False.
        Raises RuntimeError once stop() has begun.
        """
        event = _private(event)
        holds_room = False
        try:
            while True:
                self._refuse_if_stopped()
                if event.id in self._active:
                    return
                if (writing := self._writing.get(event.id)) is not None:
                    await asyncio.wait([writing])  # only then it is clear what this id is
                    continue
                if holds_room:
                    break
                if self._has_room():
                    self._reserved += 1
                    holds_room = True
                    break
                if not block:
                    raise asyncio.QueueFull
                holds_room = await self._wait_for_room(event.id)
            if self._journal is not None and not await self._append(event):
                return
            holds_room = False
            self._reserved -= 1
            self._accept(_Run(event, set()))
            self._dispatch()
        finally:
            if holds_room:
                self._give_back_room()

    def _refuse_if_stopped(self) -> None:
        if self._stopping:
            raise RuntimeError("the bus has been stopped")

    def _has_room(self) -> bool:
        return self._queued + self._reserved < self._queue_size

    async def _wait_for_room(self, event_id: str) -> bool:
        """Return True with room reserved; False when there is some other reason to look again."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.append(future)
        same_id = self._waiting.setdefault(event_id, [])
        same_id.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.done() and future.result():
                self._give_back_room()
            raise
        finally:
            same_id.remove(future)
            if not same_id and self._waiting.get(event_id) is same_id:
                del self._waiting[event_id]

    def _give_back_room(self) -> None:
        self._reserved -= 1
        self._grant_room()

    def _grant_room(self) -> None:
        while self._line and self._has_room():
            future = self._line.popleft()
            if not future.done():
                self._reserved += 1
                future.set_result(True)

    async def _append(self, event: Event) -> bool:
        """Write an event to the journal; False when start() has queued it in the meantime."""
        assert self._journal is not None
        writing = self._writing[event.id] = asyncio.get_running_loop().create_future()
        try:
            await self._journal.append(_private(event))
            if event.id in self._adopted:
                return False
            self._open.add(event.id)
            self._refuse_if_stopped()
            return True
        finally:
            self._adopted.discard(event.id)
            del self._writing[event.id]
            _wake([writing])

    # ------------------------------------------------------------------ scheduling

    def _accept(self, run: _Run) -> None:
        """Queue an event."""
        event = run.event
        entry = _Entry(run, next(self._numbers))
        self._active[event.id] = entry
        self._queued += 1
        if event.key is not None and event.key in self._keys:
            self._keys[event.key].append(entry)
        else:
            if event.key is not None:
                self._keys[event.key] = deque()
            self._make_eligible(entry)
        for future in self._waiting.get(event.id, ()):  # they publish a duplicate now
            if not future.done():
                future.set_result(False)

    def _make_eligible(self, entry: _Entry) -> None:
        heapq.heappush(self._heap, (-entry.run.event.priority, entry.number, entry))

    def _dispatch(self) -> None:
        """Give the free places to the events that are next."""
        if not self._started:
            return
        while self._free and self._heap:
            _, _, entry = heapq.heappop(self._heap)
            self._queued -= 1
            self._free -= 1
            self._runs.add(entry.run)
            self._dispatched.append(entry)
            self._work.notify()
        self._grant_room()

    async def _worker(self) -> None:
        """Process one event after another."""
        while True:
            while not self._dispatched:
                await self._work.wait()
            entry = self._dispatched.popleft()
            run = entry.run
            run.task = asyncio.current_task()
            await self._process(run)
            if run.abandoned:
                return
            self._finished(entry)

    def _finished(self, entry: _Entry) -> None:
        event = entry.run.event
        self._runs.discard(entry.run)
        del self._active[event.id]
        self._free += 1
        if event.key is not None:
            if line := self._keys[event.key]:
                self._make_eligible(line.popleft())
            else:
                del self._keys[event.key]
        self._dispatch()
        self._tell_quiet()

    # ------------------------------------------------------------------ one event

    async def _process(self, run: _Run) -> None:
        """Do everything for an event that came through the queue."""
        await self._pass_through(run)
        await self._written(run)
        if self._journal is None or run.abandoned:
            return
        if not run.letters or not self._owed.get(run.event.id):  # or all have been replayed since
            self._owed.pop(run.event.id, None)
            await self._close(run.event.id)

    async def _pass_through(self, run: _Run) -> None:
        """Run middleware, routing and handlers."""
        middleware = tuple(self._middleware)

        def step(position: int) -> Next:
            async def next_(event: Event) -> None:
                if run.abandoned:
                    raise asyncio.CancelledError
                run.inside += 1
                try:
                    event = _private(event)
                    if position < len(middleware):
                        await middleware[position](event, step(position + 1))
                    else:
                        await self._route(run, event)
                finally:
                    run.inside -= 1
                    if run.left is not None and not run.inside:
                        _wake([run.left])

            return next_

        try:
            await step(0)(run.event)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            assert task is not None
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                run.abandoned = True  # somebody ends the whole program
                raise
            self._bury(run, run.event, "middleware", None, error, 1)
        if run.inside:  # a middleware has not waited for its `next`
            run.left = asyncio.get_running_loop().create_future()
            await run.left

    async def _route(self, run: _Run, event: Event) -> None:
        found = [s for s in self._subscriptions.values() if _matches(s.pattern, event.type)]
        if not found:
            error = f"nobody subscribes to {event.type!r}"
            self._bury(run, event, "routing", None, ("NoSubscriber", error), 0)
        found.sort(key=lambda s: -s.priority)
        for _, group in groupby(found, key=lambda s: s.priority):
            first, *others = group
            if not others:
                await self._handle(run, first, event)
                continue
            tasks = [
                self._spawn(run, self._handle(run, subscription, event))
                for subscription in (first, *others)
            ]
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:
                for task in tasks:
                    task.cancel()
                raise
            for task in tasks:
                if not task.cancelled():
                    task.result()

    async def _handle(
        self, run: _Run, subscription: Subscription, event: Event, *, filtered: bool = True
    ) -> None:
        """Run one handler until it has finished for good."""
        name = subscription.name
        if not subscription.active or self._has_succeeded(run, name):
            return
        if filtered and subscription.accepts is not None:
            try:
                accepted = bool(subscription.accepts(_private(event)))
            except (Exception, asyncio.CancelledError) as error:
                self._bury(run, event, "filter", name, error, 1)
                return
            if not accepted:
                return
        for attempt in range(1, self._max_attempts + 1):
            if run.abandoned or not subscription.active:
                return
            failure = await self._attempt(run, subscription, event, attempt)
            if run.abandoned:
                return
            if failure is None:
                self._succeeded(run, name)
                return
            error, at = failure
            if attempt == self._max_attempts:
                self._bury(run, event, "handler", name, error, attempt, at)
            elif subscription.active:
                await subscription._pause(at + self._pause_after(attempt))

    def _pause_after(self, attempt: int) -> float:
        try:
            return self._backoff(attempt)
        except Exception:
            _log.exception("backoff(%d) has failed", attempt)
            return 0.0

    async def _attempt(
        self, run: _Run, subscription: Subscription, event: Event, attempt: int
    ) -> tuple[BaseException, float] | None:
        """Try once. Return None, or the error and the instant of the failure."""

        async def call() -> None:
            await subscription.handler(_private(event, attempt=attempt))

        loop = asyncio.get_running_loop()
        limit = self._handler_timeout
        start = loop.time()
        task = self._spawn(run, call())
        try:
            await asyncio.wait([task], timeout=None if limit == math.inf else limit)
            for _ in range(2):  # who finishes in the very instant of the time-out has made it
                if not task.done():
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()  # and do not wait for it, it may not care
            run.tasks.discard(task)
            return TimeoutError(f"not finished after {limit} seconds"), start + limit
        if task.cancelled():
            return asyncio.CancelledError("the handler was cancelled"), loop.time()
        if (error := task.exception()) is not None:
            return error, loop.time()
        return None

    def _spawn(self, run: _Run, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that stop() has to end."""
        task = self._in_background(work)
        run.tasks.add(task)
        task.add_done_callback(run.tasks.discard)
        return task

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task, keep it alive, and do not complain about errors nobody asks for."""

        def ended(task: asyncio.Task[None]) -> None:
            self._background.discard(task)
            if not task.cancelled():
                task.exception()

        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(ended)
        return task

    # ------------------------------------------------------------------ successes

    def _succeeded(self, run: _Run, name: str) -> None:
        run.done.add(name)
        self._remember(run.event.id, name)
        if self._journal is not None:
            settling = self._careful(self._journal.settle, run.event.id, name)
            run.writes.add(self._in_background(settling))

    def _remember(self, event_id: str, name: str) -> None:
        self._forget()
        self._successes.pop((event_id, name), None)
        self._successes[event_id, name] = asyncio.get_running_loop().time()

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._successes:
            oldest = next(iter(self._successes))
            if now < self._successes[oldest] + self._dedup_ttl:
                return
            del self._successes[oldest]

    def _has_succeeded(self, run: _Run, name: str) -> bool:
        self._forget()
        if (run.event.id, name) in self._successes:
            run.done.add(name)
        return name in run.done

    # ------------------------------------------------------------------ journal

    async def _careful(self, call: Callable[..., Awaitable[None]], *args: str) -> None:
        """Wait for a journal; when it fails, the bus goes on: at worst work is done twice."""
        try:
            await call(*args)
        except Exception:
            _log.exception("the journal has failed")

    async def _written(self, run: _Run) -> None:
        if run.writes:
            await asyncio.wait(run.writes)

    async def _close(self, event_id: str) -> None:
        """Close an event. It is not torn apart by stop(): all its work has been done."""
        assert self._journal is not None
        if event_id in self._open:
            self._open.discard(event_id)
            writing = self._writing[event_id] = asyncio.get_running_loop().create_future()

            async def close() -> None:
                try:
                    await self._careful(self._journal.close, event_id)
                finally:
                    del self._writing[event_id]
                    _wake([writing])

            await asyncio.wait([self._in_background(close())])

    # ------------------------------------------------------------------ dead letters

    def _bury(
        self,
        run: _Run,
        event: Event,
        stage: Stage,
        handler: str | None,
        error: BaseException | tuple[str, str],
        attempts: int,
        at: float | None = None,
    ) -> None:
        """Add a dead letter."""
        if run.abandoned:
            return
        if at is None:
            at = asyncio.get_running_loop().time()
        if isinstance(error, BaseException):
            try:
                error = (type(error).__name__, str(error))
            except Exception:
                error = (type(error).__name__, "")
        shown = run.event if stage in ("routing", "middleware") else event
        letter = DeadLetter(_private(shown), stage, handler, *error, attempts, at)
        record = _Record(letter, next(self._numbers), run.event, _private(event), run.done)
        run.letters += 1
        self._records[id(letter)] = record
        self.dead_letters.append(letter)
        if self._journal is not None:
            self._owed.setdefault(run.event.id, set()).add(record.number)
        while len(self.dead_letters) > self._dead_letter_limit:
            self._records.pop(id(self.dead_letters.pop(0)), None)
            self.dead_letters_dropped += 1

    async def replay(self, index: int) -> None:
        """Remove dead_letters[index] and do again what had failed, and only that.

        Raises IndexError when there is no such dead letter.
        """
        letter = self.dead_letters.pop(index)
        record = self._records.pop(id(letter))
        run = _Run(record.published, record.done)
        run.over = asyncio.get_running_loop().create_future()
        run.task = self._in_background(self._replay(run, record))
        self._runs.add(run)
        self._replays += 1
        try:
            await asyncio.wait([run.task, run.over], return_when=asyncio.FIRST_COMPLETED)
            if run.abandoned:
                raise RuntimeError("the bus was stopped during the replay")
            run.task.result()
        except asyncio.CancelledError:
            if not run.task.done():  # the caller gives up: the work must not get lost
                run.abandon()
                later = (i for i, other in enumerate(self.dead_letters) if other.at > letter.at)
                self.dead_letters.insert(next(later, len(self.dead_letters)), letter)
                self._records[id(letter)] = record
            raise
        finally:
            self._runs.discard(run)
            self._replays -= 1
            self._tell_quiet()

    async def _replay(self, run: _Run, record: _Record) -> None:
        letter = record.letter
        if letter.handler is None:
            await self._pass_through(run)
        elif (subscription := self._subscriptions.get(letter.handler)) is not None:
            filtered = letter.stage == "filter"
            await self._handle(run, subscription, record.seen, filtered=filtered)
        else:
            error = ("NoSubscriber", f"there is no handler {letter.handler!r} any more")
            self._bury(run, record.seen, letter.stage, letter.handler, error, 0)
        await self._written(run)
        if self._journal is None or run.abandoned:
            return
        event_id = run.event.id
        owed = self._owed.get(event_id, set())
        owed.discard(record.number)
        if not owed:
            self._owed.pop(event_id, None)
            if event_id not in self._active and event_id not in self._writing:
                await self._close(event_id)

    # ------------------------------------------------------------------ start, idle, stop

    async def start(self) -> None:
        """Begin to process events, those of the journal first."""
        async with self._starting:
            self._refuse_if_stopped()
            if self._started:
                return
            if self._journal is not None:
                pending = await self._journal.pending()
                self._refuse_if_stopped()
                self._recover(pending)
            self._started = True
            loop = asyncio.get_running_loop()
            self._workers = [loop.create_task(self._worker()) for _ in range(self._concurrency)]
            self._dispatch()

    def _recover(self, pending: Iterable[tuple[Event, Iterable[str]]]) -> None:
        """Queue the events of the journal, and after them what has been published already."""
        runs: dict[str, _Run] = {}
        for event, settled in pending:
            run = runs.setdefault(event.id, _Run(_private(event), set()))
            run.done.update(settled)
            for name in settled:
                self._remember(event.id, name)
            self._open.add(event.id)
            if event.id in self._writing:
                self._adopted.add(event.id)
        for entry in self._active.values():
            runs.setdefault(entry.run.event.id, entry.run)
        self._clear_queue()
        for run in runs.values():
            self._accept(run)

    def _clear_queue(self) -> None:
        self._active.clear()
        self._heap.clear()
        self._keys.clear()
        self._queued = 0

    def _tell_quiet(self) -> None:
        if not self._active:
            _wake(self._quiet)

    async def _until(self, quiet: Callable[[], bool]) -> None:
        while not quiet():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._quiet.add(future)
            try:
                await future
            finally:
                self._quiet.discard(future)

    async def idle(self) -> None:
        """Return as soon as no event is queued or in processing."""
        await self._until(lambda: not self._active)

    async def stop(self, *, drain: bool = True, timeout: float = 10.0) -> None:
        """Accept nothing more; finish for at most `timeout` seconds (`drain`); cancel the rest."""
        self._stopping = True
        for future in self._line:
            if not future.done():
                future.set_result(False)
        self._line.clear()
        if drain and (self._started or self._replays):
            try:
                async with asyncio.timeout(timeout):
                    await self._until(
                        lambda: not self._replays and not (self._active and self._started)
                    )
            except TimeoutError:
                pass
        self._started = False
        ending = set(self._workers)
        for run in self._runs:
            ending |= run.tasks | ({run.task} if run.task else set())
            run.abandon()
        for worker in self._workers:
            worker.cancel()
        self._workers.clear()
        self._runs.clear()
        self._dispatched.clear()
        self._clear_queue()
        self._tell_quiet()
        ending.discard(asyncio.current_task())
        if ending:
            await asyncio.wait(ending, timeout=0)  # one chance to clean up, but no waiting
