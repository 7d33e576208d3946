"""What a bus meets: handlers and filters that follow scripts, a journal.

A script has a list of acts for each call; the last one serves all further calls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import scripted_error

END = 1e9  # the instant of what has none
FIELDS = {"type": None, "payload": None, "key": None, "priority": 0, "occurred_at": 0.0}


class Puppets:
    """Notes what the bus does to its puppets, and when."""

    def __init__(self, program, life, calls, loop, world):
        self.program, self.life, self.calls, self.loop = program, life, calls, loop
        self.world, self.over = world, False

    def note(self, text, *, timed=True):
        if not self.over:
            at = self.loop.time() if timed else END
            self.world["moments"].append([[self.life, at], text])

    def undefined(self, why):
        self.world["undefined"].append(why)

    def seen(self, event):
        """How an event differs from the one in the program."""
        given = self.program["events"][event.id]
        now = {name: plain(getattr(event, name)) for name in FIELDS}
        odd = {k: v for k, v in now.items() if v != given.get(k, FIELDS[k])}
        return "".join(f" with {k}={json.dumps(v, sort_keys=True)}" for k, v in odd.items())

    def event(self, event_id):
        from eventbus import Event

        return Event(id=event_id, **deepcopy(self.program["events"][event_id]))

    def script(self, table, name, event_id, default):
        key = f"{name} {event_id}"
        self.calls[table, key] += 1
        scripts = self.program[table].get(key) or [default]
        return scripts[min(self.calls[table, key], len(scripts)) - 1]

    def handler(self, sub):
        name, usual = sub["name"], [["sleep", sub["takes"]]]

        async def handler(event):
            self.note(f"{name} starts attempt {event.attempt} on {event.id}{self.seen(event)}")
            try:
                await self.act(self.script("handlers", name, event.id, usual), event)
            except asyncio.CancelledError as error:
                if not error.args:
                    self.note(f"{name} is cancelled on {event.id}")
                raise

        return handler

    def accepts(self, name):
        def accepts(event):
            self.note(f"filter of {name} is asked about {event.id}{self.seen(event)}")
            answer = self.script("filters", name, event.id, True)
            if answer == "raise":
                raise scripted_error("Picky", "no idea")
            return answer

        return accepts

    async def act(self, script, event):
        for verb, *args in script:
            await getattr(self, "act_" + verb)(event, *args)

    async def act_sleep(self, _event, seconds):
        await asyncio.sleep(seconds)

    async def act_raise(self, _event, kind, text):
        raise scripted_error(kind, text)

    async def act_cancelled(self, _event):
        raise asyncio.CancelledError("by itself")

    async def act_mutate(self, event):
        mutate(event.payload)

    async def act_stubborn(self, event, seconds, more, end):
        """Be cancelled and go on for a while; then return or raise."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.note(f"a handler of {event.id} is cancelled and goes on")
            if more:
                await asyncio.sleep(more)
            if end == "raise":
                raise scripted_error("Sulking", "was cancelled") from None


class Journal:
    """Outlives the bus. A write counts when its call returns."""

    def __init__(self, program):
        self.takes = program["journal"]
        self.refuses = dict(program["refuse"])
        self.entries = {}  # by event id: the event, the names of settled handlers
        self.stage, self.appending = None, 0

    async def append(self, event):
        self.stage.note(f"journal.append({event.id})")
        self.appending += 1
        try:
            await self.write("append")
        finally:
            self.appending -= 1
        if self.refuses.pop(event.id, 0):
            raise OSError("disk full")
        _, settled = self.entries.get(event.id, (None, set()))
        self.entries[event.id] = replace(event, payload=deepcopy(plain(event.payload))), settled

    async def settle(self, event_id, handler):
        self.stage.note(f"journal.settle({event_id}, {handler})")
        await self.write("settle")
        if event_id in self.entries:
            self.entries[event_id][1].add(handler)

    async def close(self, event_id):
        settled = ", ".join(sorted(self.entries.get(event_id, (None, ()))[1])) or "none"
        self.stage.note(f"journal.close({event_id}), settled by then: {settled}")
        await self.write("close")
        self.entries.pop(event_id, None)

    async def pending(self):
        return [(event, frozenset(settled)) for event, settled in self.entries.values()]

    async def write(self, what):
        if self.takes.get(what):
            await asyncio.sleep(self.takes[what])


def mutate(value):
    """Change everything that lets itself be changed, all the way down."""
    for item in list(value.values()) if isinstance(value, Mapping) else list(value):
        if isinstance(item, Mapping | list | tuple):
            mutate(item)
    try:
        if isinstance(value, Mapping):
            value["spoilt"] = True
        else:
            value.append("spoilt")
    except Exception:  # noqa: BLE001, S110
        pass  # frozen: just as good
