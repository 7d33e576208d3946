"""Plays a scenario on the candidate's bus, in virtual time.

Handlers, filters, middleware and the journal are puppets: each asks the judge (`world`) what to do
now and tells it when that is over. Nothing here knows what is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

from sweep_probes import play_programs  # noqa: F401 - a probe, too

from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import is_scripted, scripted_error, summarize
from archprep.worker.virtual_loop import VirtualLoop

PATIENCE = 600.0  # virtual seconds after the last step until a scenario counts as stuck
FIELDS = ("id", "type", "payload", "key", "priority", "attempt", "occurred_at")
LETTER = ("stage", "handler", "error_type", "error", "attempts", "at")
REFUSALS = (ValueError, RuntimeError, IndexError, TimeoutError, asyncio.QueueFull)


def play_all(world, plays):
    """Play some scenarios one after another, each on a bus and a loop of its own."""
    return [play(world, number, **scenario) for number, scenario in enumerate(plays)]


def play(world, number, settings, backoffs, subscriptions, middleware, journal, steps):
    """Build a bus, take the steps at their instants, return what came of each."""
    last = max(step["at"] for step in steps)
    loop = VirtualLoop(PATIENCE + last, expected=is_no_crash)
    stage = Stage(world, number, loop)
    stage.build(settings, backoffs, subscriptions, middleware, journal)
    stuck, crash = loop.play(stage.take(steps)), loop.crash()
    if stuck and crash:
        raise crash  # a scheduler that died says more than a bus that hangs
    letters = [
        {"event": plain_event(d.event)} | {f: plain(getattr(d, f)) for f in LETTER}
        for d in stage.bus.dead_letters
    ]
    return {
        "outcomes": stage.outcomes,
        "letters": letters,
        "dropped": stage.bus.dead_letters_dropped,
        "stuck": stuck,
        "broke": summarize(crash),
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
            if not is_scripted(e):
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


def is_no_crash(error):
    return is_scripted(error) or isinstance(error, TimeoutError)


def plain_event(event):
    return {field: plain(getattr(event, field)) for field in FIELDS}
