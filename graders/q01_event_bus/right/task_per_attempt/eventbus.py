"""Write your event bus here. The types and signatures are fixed, everything inside is yours.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import heapq
import itertools
import logging
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

_log = logging.getLogger(__name__)

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
        self._pattern = pattern
        self._prefix = pattern[:-1] if pattern.endswith(".*") else None
        self.handler = handler
        self.name = name
        self.priority = priority
        self.accepts = accepts
        self.cancelled = False
        self._pauses: set[asyncio.Future[None]] = set()  # retries that wait for their back-off

    def matches(self, type_: str) -> bool:
        """Whether events of this type are for this subscription."""
        if self._pattern == "*":
            return True
        if self._prefix is not None:
            return type_.startswith(self._prefix)
        return type_ == self._pattern

    def cancel(self) -> None:
        """Never start this handler again, not even for an event that is queued already."""
        self.cancelled = True
        if self._bus._subscriptions.get(self.name) is self:
            del self._bus._subscriptions[self.name]
        for pause in self._pauses:  # nothing will come after the pause: do not hold the event up
            _release(pause)


class _Case:
    """What is still open for one id, over all its publications. Weakly held by the bus."""

    __slots__ = ("__weakref__", "letters", "lost")

    def __init__(self) -> None:
        self.letters = 0  # dead letters in the list or being replayed
        self.lost = False  # one went because of the limit and can never be replayed


class _Run:
    """One way of an event through the bus: a publication or a replay."""

    __slots__ = (
        "case",
        "done",
        "ended",
        "event",
        "halted",
        "letters",
        "routes",
        "seq",
        "settling",
        "tasks",
    )

    def __init__(self, event: Event, seq: int, case: _Case, done: set[str]) -> None:
        self.event = event  # as published; nobody else has this payload
        self.seq = seq
        self.case = case
        self.done = done  # names of the handlers that have succeeded, whenever that was
        self.letters = 0  # how many dead letters this run has made
        self.halted = False  # cancelled by stop(): nothing more may happen
        self.ended = False  # next() comes too late
        self.tasks: set[asyncio.Task[Any]] = set()
        self.routes: list[asyncio.Task[None]] = []
        self.settling: list[asyncio.Task[None]] = []


@dataclass(slots=True)
class _Entry:
    """A dead letter with what its replay needs."""

    letter: DeadLetter
    published: Event
    passed: Event  # as it came out of the middleware
    done: set[str]
    case: _Case


class Bus:
    """An event bus on the running asyncio loop.

    Everything that changes the queue is synchronous and ends in `_pump()`, which starts what may
    start, lets waiting publishers in and wakes whoever waits for the bus to be idle.
    """

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
            raise ValueError("concurrency and max_attempts must be at least 1")
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._handler_timeout = handler_timeout
        self._queue_size = queue_size
        self._dead_letter_limit = dead_letter_limit
        self._dedup_ttl = dedup_ttl
        self._journal = journal

        self._subscriptions: dict[str, Subscription] = {}
        self._middlewares: list[Middleware] = []

        # The queue: `_ready` has the queued events that may go, `_keys` has all events of a key in
        # publish order, of which only the first one is in `_ready` or in processing.
        self._active: dict[str, _Run] = {}  # by id: queued or in processing
        self._ready: list[tuple[int, int, _Run]] = []
        self._keys: dict[str, deque[_Run]] = {}
        self._queued = 0
        self._processing: set[_Run] = set()
        self._replaying: set[_Run] = set()
        self._next_seq = 0

        # Publishers: those that wait for room, and those whose event is being appended.
        self._waiting: deque[tuple[asyncio.Future[None], Event]] = deque()
        self._reserved: dict[object, Event] = {}  # room that is promised
        self._appending: dict[str, asyncio.Future[None]] = {}  # by id
        self._append_tail: dict[str, asyncio.Future[None]] = {}  # by key: appends keep its order

        self._successes: dict[tuple[str, str], float] = {}
        self._expiry: deque[tuple[float, tuple[str, str]]] = deque()

        self._entries: list[_Entry] = []
        self._cases: weakref.WeakValueDictionary[str, _Case] = weakref.WeakValueDictionary()
        self.dead_letters_dropped = 0

        self._starting = False
        self._running = False
        self._stopping = False
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._stop_waiters: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop holds tasks only weakly

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What the bus has given up, the oldest first."""
        return [entry.letter for entry in self._entries]

    # ------------------------------------------------------------------ set-up

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
            raise ValueError(f"the name {name!r} is in use")
        subscription = Subscription(self, pattern, handler, name, priority, accepts)
        self._subscriptions[name] = subscription
        return subscription

    def use(self, middleware: Middleware) -> None:
        """Add `async middleware(event, next)`; the first added is the outermost."""
        self._middlewares.append(middleware)

    # ----------------------------------------------------------------- publish

    async def publish(self, event: Event, *, block: bool = True) -> None:
        """Accept an event and return; it is processed later.

        Full queue: wait for room, or raise asyncio.QueueFull when `block` is False.
        Raises RuntimeError once stop() has begun.
        """
        self._check_open()
        event = _private(event)
        while event.id not in self._active:
            if (other := self._appending.get(event.id)) is not None:
                await _watch(other)  # the same id is about to be accepted, or not
                self._check_open()
                continue
            token = None
            if self._full():
                if not block:
                    raise asyncio.QueueFull
                token = await self._wait_for_room(event)
                if self._journal is None:
                    return  # _pump() has accepted it for us, or it was a duplicate by then
                if self._stopping or event.id in self._active or event.id in self._appending:
                    self._give_back(token)
                    self._check_open()
                    continue
            if self._journal is not None:
                await self._append_and_accept(event, token)
            else:
                self._enqueue(event)
                self._pump()
            return

    def _check_open(self) -> None:
        if self._stopping:
            raise RuntimeError("the bus is stopping or has stopped")

    def _full(self) -> bool:
        """Whether the queue is full, or will be when the events being appended are accepted."""
        count = self._queued
        places = self._concurrency - len(self._processing) if self._running else 0
        keys: set[str] = set()
        for event in self._reserved.values():
            key_is_busy = event.key is not None and (event.key in self._keys or event.key in keys)
            if event.key is not None:
                keys.add(event.key)
            if key_is_busy or places <= 0:
                count += 1
            else:
                places -= 1
        return count >= self._queue_size

    async def _wait_for_room(self, event: Event) -> object:
        """Wait in line. With a journal the result stands for room that is reserved."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (turn, event)
        self._waiting.append(waiting)
        try:
            await turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            self._give_back(turn)
            raise
        return turn

    def _give_back(self, token: object) -> None:
        if self._reserved.pop(token, None) is not None:
            self._pump()

    async def _append_and_accept(self, event: Event, token: object | None) -> None:
        assert self._journal is not None
        seq = self._take_seq()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        token = ended if token is None else token
        self._reserved[token] = event
        self._appending[event.id] = ended
        before = None
        if event.key is not None:
            before = self._append_tail.get(event.key)
            self._append_tail[event.key] = ended
        try:
            try:
                if before is not None:
                    await _watch(before)
                    self._check_open()
                await self._journal.append(_private(event))
            finally:
                del self._reserved[token]
                del self._appending[event.id]
                if event.key is not None:
                    if self._append_tail[event.key] is ended:
                        del self._append_tail[event.key]
                    if before is not None and not before.done():
                        # cancelled while in line: those behind wait for those before
                        before.add_done_callback(lambda _: _release(ended))
                    else:
                        _release(ended)
                else:
                    _release(ended)
            self._check_open()
            if event.id not in self._active:  # start() may have found it in the journal already
                self._enqueue(event, seq)
        finally:
            self._pump()

    def _take_seq(self) -> int:
        self._next_seq += 1
        return self._next_seq

    def _enqueue(self, event: Event, seq: int | None = None, done: set[str] | None = None) -> None:
        case = self._cases.get(event.id)
        if case is None:
            self._cases[event.id] = case = _Case()
        run = _Run(event, self._take_seq() if seq is None else seq, case, done or set())
        self._enqueue_run(run)

    def _enqueue_run(self, run: _Run) -> None:
        key = run.event.key
        self._active[run.event.id] = run
        self._queued += 1
        if key is not None:
            line = self._keys.setdefault(key, deque())
            line.append(run)
            if line[0] is not run:
                return
        heapq.heappush(self._ready, (-run.event.priority, run.seq, run))

    def _pump(self) -> None:
        """Start what may start, let in who waits for room, tell who waits for idleness."""
        while True:
            if self._running and self._ready and len(self._processing) < self._concurrency:
                run = heapq.heappop(self._ready)[2]
                self._queued -= 1
                self._processing.add(run)
                self._spawn(run, self._process(run))
            elif self._waiting and self._waiting[0][0].done():
                self._waiting.popleft()  # cancelled
            elif self._waiting and self._waiting[0][1].id in self._active:
                _release(self._waiting.popleft()[0])  # a duplicate by now
            elif self._waiting and not self._full():
                turn, event = self._waiting.popleft()
                if self._journal is None:
                    self._enqueue(event)
                else:
                    self._reserved[turn] = event
                _release(turn)
            else:
                break
        if not self._active:
            for waiter in self._idle_waiters:
                _release(waiter)
            if not self._replaying:
                for waiter in self._stop_waiters:
                    _release(waiter)

    # ----------------------------------------------------- start, idle and stop

    async def start(self) -> None:
        """Begin to process events, those of the journal first."""
        self._check_open()
        if self._running or self._starting:
            return
        self._starting = True
        try:
            pending = [] if self._journal is None else await self._journal.pending()
            self._check_open()
            self._recover(pending)
            self._running = True
        finally:
            self._starting = False
        self._pump()

    def _recover(self, pending: list[tuple[Event, frozenset[str]]]) -> None:
        """Put the events of the journal in front of the queue; nothing is in processing yet."""
        rest = sorted(self._active.values(), key=lambda run: run.seq)
        settled_by_id: dict[str, set[str]] = {}
        events: list[Event] = []
        for event, settled in pending:
            if event.id not in settled_by_id:
                settled_by_id[event.id] = set()
                events.append(_private(event))
            settled_by_id[event.id] |= settled
            for name in settled:  # when it was is not known
                self._remember(event.id, name)
        self._active.clear()
        self._keys.clear()
        self._ready.clear()
        self._queued = 0
        for number, event in enumerate(events):
            self._enqueue(event, number - len(events), settled_by_id[event.id])
        for run in rest:
            if run.event.id not in settled_by_id:
                self._enqueue_run(run)

    async def idle(self) -> None:
        """Return as soon as no event is queued or in processing."""
        if self._active:
            await self._wait_in(self._idle_waiters)

    async def _wait_in(
        self, waiters: list[asyncio.Future[None]], timeout: float | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        timer = None
        if timeout is not None:
            timer = loop.call_at(loop.time() + max(0.0, timeout), _release, waiter)
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)
            if timer is not None:
                timer.cancel()

    async def stop(self, *, drain: bool = True, timeout: float = 10.0) -> None:
        """Accept nothing more; finish for at most `timeout` seconds (`drain`); cancel the rest."""
        self._stopping = True
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(RuntimeError("the bus is stopping"))
        if drain and ((self._running and self._active) or self._replaying):
            await self._wait_in(self._stop_waiters, timeout)

        self._running = False
        cancelled: set[asyncio.Task[Any]] = set()
        for run in [*self._processing, *self._replaying]:
            cancelled |= self._halt(run)
        self._processing.clear()
        self._replaying.clear()
        self._active.clear()
        self._ready.clear()
        self._keys.clear()
        self._queued = 0
        self._pump()
        # Let the cancellations arrive, but wait for nobody who holds out against them.
        for _ in range(20):
            if all(task.done() for task in cancelled):
                break
            await asyncio.sleep(0)

    def _halt(self, run: _Run) -> set[asyncio.Task[Any]]:
        run.halted = True
        tasks = set(run.tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _spawn(self, run: _Run, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        run.tasks.add(task)
        self._tasks.add(task)
        task.add_done_callback(run.tasks.discard)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever needs it has it; asyncio shall not complain

    # ----------------------------------------------------------- one event's way

    async def _process(self, run: _Run) -> None:
        await self._through(run)
        await self._settled(run)
        if run.letters == 0:
            run.case.lost = False
            await self._close(run)
        elif run.case.letters == 0 and not run.case.lost:  # replayed in the meantime
            await self._close(run)
        if run.halted:
            return
        self._processing.discard(run)
        del self._active[run.event.id]
        key = run.event.key
        if key is not None:
            line = self._keys[key]
            line.popleft()
            if line:
                heapq.heappush(self._ready, (-line[0].event.priority, line[0].seq, line[0]))
            else:
                del self._keys[key]
        self._pump()

    async def _through(self, run: _Run) -> None:
        """Run the middleware and what it lets through; return when all of it has finished."""
        middlewares = tuple(self._middlewares)

        async def call(index: int, event: Event) -> None:
            if run.ended or run.halted:
                raise RuntimeError("next() was called after the event was done")
            event = _private(event)
            if index < len(middlewares):
                await middlewares[index](event, functools.partial(call, index + 1))
                return
            # A task of its own: a middleware that gives up waiting does not take handlers along.
            route = self._spawn(run, self._route(run, event))
            run.routes.append(route)
            await asyncio.shield(route)

        try:
            await call(0, run.event)
        except (Exception, asyncio.CancelledError) as error:
            if run.halted:
                raise
            self._bury(run, "middleware", run.event, None, error, attempts=1)
        run.ended = True
        if run.halted:
            raise asyncio.CancelledError
        if run.routes:
            await asyncio.wait(run.routes)

    async def _route(self, run: _Run, event: Event) -> None:
        found = [sub for sub in self._subscriptions.values() if sub.matches(event.type)]
        if not found:
            error = NoSubscriber(f"nothing is subscribed to {event.type!r}")
            self._bury(run, "routing", event, None, error, attempts=0)
        found.sort(key=lambda sub: -sub.priority)
        for _, group in itertools.groupby(found, key=lambda sub: sub.priority):
            await asyncio.wait([self._spawn(run, self._deliver(run, sub, event)) for sub in group])

    async def _deliver(
        self, run: _Run, sub: Subscription, event: Event, *, ask: bool = True
    ) -> None:
        """Bring one handler to its end for one event."""
        if sub.cancelled or self._has_succeeded(run, sub.name):
            return
        if ask and sub.accepts is not None:
            try:
                wanted = bool(sub.accepts(_private(event)))
            except (Exception, asyncio.CancelledError) as error:
                self._bury(run, "filter", event, sub.name, error, attempts=1)
                return
            if not wanted:
                return
        for attempt in range(1, self._max_attempts + 1):
            if sub.cancelled or run.halted:
                return
            error, at = await self._attempt(run, sub, replace(_private(event), attempt=attempt))
            if run.halted:
                return
            if error is None:
                run.done.add(sub.name)
                self._remember(run.event.id, sub.name)
                if self._journal is not None:
                    run.settling.append(self._spawn(run, self._settle(run, sub.name)))
                return
            if attempt == self._max_attempts:
                self._bury(run, "handler", event, sub.name, error, attempts=attempt, at=at)
            elif not sub.cancelled:
                await self._pause(sub, at, attempt)

    async def _attempt(
        self, run: _Run, sub: Subscription, event: Event
    ) -> tuple[BaseException | None, float]:
        """Call the handler once; return its error, if any, and the instant of the end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._handler_timeout
        ended: asyncio.Future[None] = loop.create_future()

        async def call() -> None:
            await sub.handler(event)

        task = self._spawn(run, call())
        task.add_done_callback(lambda _: _release(ended))
        timer = loop.call_at(deadline, _release, ended)
        try:
            await ended
            if not task.done():
                await asyncio.sleep(0)  # it may be finishing in this very instant
        finally:
            timer.cancel()
        if not task.done():
            run.tasks.discard(task)
            task.cancel()
            return TimeoutError(f"not finished after {self._handler_timeout} s"), deadline
        if task.cancelled():
            return asyncio.CancelledError("the handler raised CancelledError"), loop.time()
        return task.exception(), loop.time()

    async def _pause(self, sub: Subscription, since: float, attempt: int) -> None:
        """Wait for the instant of the next attempt, or until there will be none."""
        try:
            seconds = float(self._backoff(attempt))
        except Exception:
            _log.exception("backoff(%d) failed; the next attempt follows at once", attempt)
            seconds = 0.0
        if seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(since + seconds, _release, over)
        sub._pauses.add(over)
        try:
            await over
        finally:
            sub._pauses.discard(over)
            timer.cancel()

    # ------------------------------------------------------ successes and journal

    def _has_succeeded(self, run: _Run, name: str) -> bool:
        if name in run.done:
            return True
        at = self._successes.get((run.event.id, name))
        return at is not None and asyncio.get_running_loop().time() < at + self._dedup_ttl

    def _remember(self, event_id: str, name: str) -> None:
        now = asyncio.get_running_loop().time()
        while self._expiry and self._expiry[0][0] + self._dedup_ttl <= now:
            at, pair = self._expiry.popleft()
            if self._successes.get(pair) == at:
                del self._successes[pair]
        self._successes[event_id, name] = now
        self._expiry.append((now, (event_id, name)))

    async def _settle(self, run: _Run, name: str) -> None:
        assert self._journal is not None
        try:
            await self._journal.settle(run.event.id, name)
        except Exception:
            _log.exception("the journal could not settle %r of %r", name, run.event.id)

    async def _settled(self, run: _Run) -> None:
        if run.settling:
            await asyncio.wait(run.settling)

    async def _close(self, run: _Run) -> None:
        if self._journal is None or run.halted:
            return
        try:
            await self._journal.close(run.event.id)
        except Exception:
            _log.exception("the journal could not close %r", run.event.id)

    # -------------------------------------------------------------- dead letters

    def _bury(
        self,
        run: _Run,
        stage: Stage,
        passed: Event,
        handler: str | None,
        error: BaseException,
        *,
        attempts: int,
        at: float | None = None,
    ) -> None:
        if run.halted:
            return
        try:
            text = str(error)
        except Exception:
            text = ""
        # What is replayed from the very beginning is kept as it was published.
        shown = passed if stage in ("handler", "filter") else run.event
        at = asyncio.get_running_loop().time() if at is None else at
        letter = DeadLetter(
            _private(shown), stage, handler, type(error).__name__, text, attempts, at
        )
        run.letters += 1
        run.case.letters += 1
        self._entries.append(_Entry(letter, run.event, passed, run.done, run.case))
        self._trim()

    def _trim(self) -> None:
        while len(self._entries) > self._dead_letter_limit:
            gone = self._entries.pop(0)
            gone.case.letters -= 1
            gone.case.lost = True
            self.dead_letters_dropped += 1

    async def replay(self, index: int) -> None:
        """Remove dead_letters[index] and do again what had failed, and only that.

        Raises IndexError when there is no such dead letter.
        """
        entry = self._entries.pop(index)
        run = _Run(entry.published, 0, entry.case, entry.done)
        self._replaying.add(run)
        task = self._spawn(run, self._replay(entry, run))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            if not task.done():
                self._halt(run)
                self._entries.insert(0, entry)
                self._trim()
            raise
        finally:
            self._replaying.discard(run)
            self._pump()
        if run.halted:  # by stop()
            self._entries.insert(0, entry)
            self._trim()
            raise RuntimeError("the bus was stopped during the replay")

    async def _replay(self, entry: _Entry, run: _Run) -> None:
        stage = entry.letter.stage
        if stage in ("handler", "filter"):
            assert entry.letter.handler is not None
            sub = self._subscriptions.get(entry.letter.handler)
            if sub is None:  # cancelled: it cannot be done, so it stays a dead letter
                self._entries.append(entry)
                self._trim()
                return
            await self._deliver(run, sub, entry.passed, ask=stage == "filter")
        else:
            await self._through(run)
        await self._settled(run)
        if run.halted:
            return
        case = entry.case
        case.letters -= 1
        event_id = run.event.id
        busy = event_id in self._active or event_id in self._appending
        if case.letters == 0 and not case.lost and not busy:
            await self._close(run)


class NoSubscriber(Exception):
    """No pattern matches the type of the event."""


_SCALARS = (str, int, float, bool, bytes, type(None))


def _copy(value: Any) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    if type(value) is tuple:
        return tuple(_copy(item) for item in value)
    return copy.deepcopy(value)


def _private(event: Event) -> Event:
    """Make a copy of an event that shares no data with it."""
    return replace(event, payload=_copy(event.payload))


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _watch(future: asyncio.Future[None]) -> None:
    """Wait for a future that others wait for too."""
    await asyncio.wait([future])
