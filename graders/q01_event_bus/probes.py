"""Plays a scenario on the candidate's bus, in virtual time.

Handlers, filters, middleware and the journal are puppets: each asks the judge (`world`) what to do
now and tells it when that is over. Nothing here knows what is right.
"""

from __future__ import annotations

import asyncio
import selectors
import traceback
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

PATIENCE = 600.0  # virtual seconds after the last step until a scenario counts as stuck
TURNS = 3000  # of the loop within one instant, until it counts as spinning
FOR_THREADS = 0.05  # real seconds that a thread may take to wake an otherwise idle loop
FIELDS = ("id", "type", "payload", "key", "priority", "attempt", "occurred_at")
LETTER = ("stage", "handler", "error_type", "error", "attempts", "at")
REFUSALS = (ValueError, RuntimeError, IndexError, TimeoutError, asyncio.QueueFull)

_kept: list[object] = []  # collecting a loop with tasks left would print warnings


class Stuck(Exception):
    """Nothing new will ever happen."""


class Clock(selectors.DefaultSelector):
    """Waits for nothing: when no callback is ready, time jumps to the next timer."""

    now = 0.0
    limit = PATIENCE
    turns = 0

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or timeout == 0:
            self.turns += 1
            if self.turns > TURNS:
                raise Stuck("spins")
            return ready
        if timeout is None:
            if ready := super().select(FOR_THREADS):
                return ready
            raise Stuck("waits")
        self.turns = 0
        self.now += timeout
        if self.now > self.limit:
            raise Stuck("waits")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, limit):
        self.clock = Clock()
        self.clock.limit = limit
        self.tasks = []
        self.errors = []
        super().__init__(self.clock)
        self.set_task_factory(self._new_task)
        self.set_exception_handler(self._report)

    def time(self):
        return self.clock.now

    def _new_task(self, _, coro, **options):
        self.tasks.append(asyncio.Task(coro, loop=self, **options))
        return self.tasks[-1]

    def _report(self, _, context):
        error = context.get("exception")
        if not scripted(error):
            self.errors.append(error)
            self.default_exception_handler(context)

    def crash(self):
        """What broke in the background: a scheduler that died says more than a bus that hangs."""
        ended = [task for task in self.tasks if task.done() and not task.cancelled()]
        errors = [*self.errors, *(task.exception() for task in ended)]
        return next(filter(is_crash, errors), None)


def play_all(world, plays):
    """Play some scenarios one after another, each on a bus and a loop of its own."""
    return [play(world, number, **scenario) for number, scenario in enumerate(plays)]


def play(world, number, settings, backoffs, subscriptions, middleware, journal, steps):
    """Build a bus, take the steps at their instants, return what came of each."""
    loop = VirtualLoop(PATIENCE + max(step["at"] for step in steps))
    _kept.append(loop)
    stage = Stage(world, number, loop)
    stuck = ""
    try:
        stage.build(settings, backoffs, subscriptions, middleware, journal)
        loop.run_until_complete(stage.take(steps))
    except Stuck as e:
        stuck = str(e)
        if error := loop.crash():
            raise error from None
    letters = [
        {"event": plain_event(d.event)} | {f: plain(getattr(d, f)) for f in LETTER}
        for d in stage.bus.dead_letters
    ]
    return {
        "outcomes": stage.outcomes,
        "letters": letters,
        "dropped": stage.bus.dead_letters_dropped,
        "stuck": stuck,
        "broke": tell(loop.crash()),
    }


class Stage:
    """The bus and its puppets."""

    def __init__(self, world, number, loop):
        self.world, self.number, self.loop = world, number, loop
        self.outcomes = []
        self.subscribed = {}
        self.spawned = []

    def build(self, settings, backoffs, subscriptions, middleware, journal):
        from eventbus import Bus

        if backoffs:
            settings = {**settings, "backoff": lambda n: backoffs[n]}
        if journal:
            settings = {**settings, "journal": Journal(self)}
        self.bus = Bus(**settings)
        for name in middleware:
            self.bus.use(self._middleware(name))
        for subscription in subscriptions:
            self.do_subscribe(**subscription)

    async def take(self, steps):
        for number, step in enumerate(steps):
            if step["at"] > self.loop.time():
                await asyncio.sleep(step["at"] - self.loop.time())
            taken = self._take(number, step)
            if step["spawn"]:
                self.spawned.append(self.loop.create_task(taken))
            else:
                await taken
        for task in self.spawned:
            await task

    async def _take(self, number, step):
        outcome, text = "ok", ""
        try:
            doing = getattr(self, "do_" + step["do"])(**step["with"])
            if doing is not None:
                await doing
        except NotImplementedError:
            raise
        except (*REFUSALS, asyncio.CancelledError) as e:
            outcome, text = type(e).__name__, str(e)
        except Exception as e:
            if not scripted(e):
                raise
            outcome, text = type(e).__name__, str(e)
        self.outcomes.append([number, self.loop.time(), outcome, text])

    # -- steps

    def do_subscribe(self, pattern, name, priority=0, filtered=False):
        accepts = self._filter(name) if filtered else None
        self.subscribed[name] = self.bus.subscribe(
            pattern, self._handler(name), name=name, priority=priority, accepts=accepts
        )

    def do_cancel(self, name):
        self.subscribed[name].cancel()

    async def do_publish(self, event, block=True, spoil=False):
        from eventbus import Event

        event = Event(**deepcopy(event))
        await self.bus.publish(event, block=block)
        if spoil:
            mutate(event.payload)

    def do_nothing(self):
        pass

    async def do_start(self):
        await self.bus.start()

    async def do_idle(self):
        await self.bus.idle()

    async def do_replay(self, index):
        await self.bus.replay(index)

    async def do_stop(self, within=None, **options):
        async with asyncio.timeout(within):
            await self.bus.stop(**options)

    # -- puppets

    def _handler(self, name):
        async def handler(event):
            await self.perform("handler", name, event)

        return handler

    def _filter(self, name):
        def accepts(event):
            _, script = self.begin("filter", name, event)
            for verb, *args in script:
                if verb == "raise":
                    raise scripted_error(*args)
                return args[0]
            return True

        return accepts

    def _middleware(self, name):
        async def middleware(event, next):
            await self.perform("middleware", name, event, next)

        return middleware

    def begin(self, kind, name, event):
        about = event if isinstance(event, dict) else plain_event(event)
        return self.world.begin(self.number, kind, name, about, self.loop.time())

    async def perform(self, kind, name, event, next=None):
        number, script = self.begin(kind, name, event)
        outcome = "done"
        try:
            return await act(script, event, next)
        except BaseException as e:
            outcome = type(e).__name__
            raise
        finally:
            self.world.end(self.number, number, self.loop.time(), outcome)


class Journal:
    """Hands everything to the judge, who remembers it."""

    def __init__(self, stage):
        self._stage = stage

    async def append(self, event):
        await self._stage.perform("journal", "append", event)

    async def settle(self, event_id, handler):
        await self._stage.perform("journal", "settle " + str(handler), {"id": event_id})

    async def close(self, event_id):
        await self._stage.perform("journal", "close", {"id": event_id})

    async def pending(self):
        from eventbus import Event

        left = self._stage.world.pending(self._stage.number)
        return [(Event(**event), frozenset(settled)) for event, settled in left]


async def act(script, event, next):
    for verb, *args in script:
        if verb == "sleep":
            await asyncio.sleep(args[0])
        elif verb == "stubborn":
            await stubborn(*args)
        elif verb == "raise":
            raise scripted_error(*args)
        elif verb == "cancelled":
            raise asyncio.CancelledError
        elif verb == "mutate":
            mutate(event.payload)
        elif verb == "change":
            event = replace(event, payload=args[0])
        elif verb == "next":
            await next(event)


async def stubborn(seconds, more):
    """Take a cancellation for an interruption and go on."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(more)


def mutate(value):
    """Change everything that lets itself be changed, all the way down."""
    inner = list(value.values()) if isinstance(value, Mapping) else list(value)
    for item in inner:
        if isinstance(item, Mapping | list | tuple):
            mutate(item)
    try:
        if isinstance(value, Mapping):
            value["spoilt"] = True
        else:
            value.append("spoilt")
    except Exception:  # noqa: BLE001, S110
        pass  # frozen: just as good


def scripted_error(kind, text):
    error = type(kind, (Exception,), {})(text)
    error.scripted = True
    return error


def scripted(error):
    if isinstance(error, BaseExceptionGroup):
        return all(map(scripted, error.exceptions))
    return getattr(error, "scripted", False)


def is_crash(error):
    return error is not None and not scripted(error) and not isinstance(error, TimeoutError)


def tell(error):
    """An error and the last place in the bus that it came through."""
    if error is None:
        return ""
    places = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    where = [
        f" in {code.co_name}, line {line}"
        for code, line in places
        if "eventbus" in code.co_filename
    ]
    return f"{type(error).__name__}: {error}{where[-1] if where else ''}"


def plain_event(event):
    return {field: plain(getattr(event, field)) for field in FIELDS}


def plain(value):
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return repr(value)
