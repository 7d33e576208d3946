"""Plays programs on the candidate's limiters; nothing here knows what is right.

A program is a series of hits with pauses in between. Redis is fakeredis, whose clock follows it.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from functools import partial

from archprep.worker.plain_data import plain

EPOCH = 1_800_000_000.0
LATE = 1.25  # seconds after its end at which nothing may be left
VERDICTS = {True: "is admitted", False: "is denied"}


def play_limiter(program):
    if program["limiter"] == "memory":
        return asyncio.run(InMemory(program).play())
    import time_machine

    with time_machine.travel(EPOCH, tick=False) as travel:
        return asyncio.run(InRedis(program, travel).play())


class InMemory:
    """One limiter, with a clock of its own."""

    def __init__(self, program):
        import ratelimit

        self.program, self.moments, self.now = program, [], 0.0
        self.limiters = [ratelimit.MemoryWindow(clock=lambda: self.now)]

    async def play(self):
        for number, step in enumerate(self.program["steps"], start=1):
            self.advance(step.get("after", 0.0))
            await (self.lose() if "lose" in step else self.hit(number, step))
        return {"moments": self.moments}

    def advance(self, seconds):
        self.now += seconds

    def note(self, number, aspect, text):
        self.moments.append([[number, aspect], text])

    async def hit(self, number, step):
        policies = [self.policy(name, step) for name in step["policies"]]
        options = {"cost": step["cost"]} if "cost" in step else {}
        limiter = self.limiters[number % len(self.limiters)]
        decision = await limiter.hit(step["ident"], policies, **options)
        allowed = getattr(decision, "allowed", decision)
        known = VERDICTS if isinstance(allowed, bool) else {}
        self.note(number, 0, f"the hit {known.get(allowed, f'gets {plain(allowed)!r}')}")
        for aspect, field in enumerate(("remaining", "reset_s"), start=1):
            values = getattr(decision, field, None)
            for name in sorted({*step["policies"], *(values if isinstance(values, dict) else ())}):
                value = values.get(name) if isinstance(values, dict) else values
                self.note(number, aspect, f"{field}[{name}] is {number_text(value)}")
        self.note(number, 3, f"retry_after is {plain(getattr(decision, 'retry_after', None))!r}")
        self.look(number, policies, decision)

    def policy(self, name, step):
        import ratelimit

        about = self.program["policies"][name]
        limit = step.get("limits", {}).get(name, about["limit"])
        return ratelimit.Policy(name, limit, about["window_s"], about.get("burst"))

    async def lose(self):
        """Memory has no server that could lose it."""

    def look(self, number, policies, decision):
        """What a hit has left behind is not visible from outside."""


class InRedis(InMemory):
    """Two limiters that share a server."""

    def __init__(self, program, travel):
        import fakeredis
        import ratelimit

        self.program, self.moments, self.now, self.travel = program, [], 0.0, travel
        self.ends, self.db, self.server = 0.0, program.get("db", 0), fakeredis.FakeServer()
        self.own = program["prefix"].encode() + b":"
        kind = ratelimit.TokenBucket if program["limiter"] == "bucket" else ratelimit.RedisWindow
        self.client = partial(fakeredis.FakeAsyncRedis, server=self.server)
        self.limiters = [kind(self.client(db=self.db), prefix=program["prefix"]) for _ in "AB"]

    def advance(self, seconds):
        super().advance(seconds)
        self.travel.move_to(EPOCH + self.now)

    async def play(self):
        trace = await super().play()
        self.advance(max(0.0, self.ends - self.now) + LATE)
        left = [key for db in [*self.server.dbs] for key in await self.client(db=db).keys()]
        text = f"there are still keys: {sorted(left)[:3]}" if left else "nothing is left"
        self.note(len(self.program["steps"]) + 1, 5, text)
        return trace

    async def lose(self):
        """The server starts anew: keys and scripts are gone."""
        await self.client().flushall()
        await self.client().script_flush()
        self.ends = self.now

    def look(self, number, policies, decision):
        if getattr(decision, "allowed", None) is True:
            lasts = [p.window_s for p in policies]
            if self.program["limiter"] == "bucket":
                lasts = [x for x in decision.reset_s.values() if isinstance(x, int | float)]
            self.ends = max([self.ends, *(self.now + x for x in lasts)])
        for db, database in self.server.dbs.items():
            for key in [*database]:
                if db != self.db or not key.startswith(self.own):
                    self.note(number, 4, f"there is a key {key} in database {db}")


def number_text(value):
    """A number without what rounding may change: half a millisecond."""
    if isinstance(value, float):
        return f"{round(value, 3):g}"
    return repr(plain(value))


async def crowd(policies, rounds):
    """Hits of many identities: how many are admitted, and how much memory is in use."""
    import ratelimit

    now, admitted, used = 0.0, [], []
    limiter = ratelimit.MemoryWindow(clock=lambda: now)
    made = {name: ratelimit.Policy(name, *numbers) for name, numbers in policies.items()}
    tracemalloc.start()
    for steps in rounds:
        for after, names, idents, times, size in steps:
            now += after
            count, asked = 0, [made[name] for name in names]
            for ident in [ident.ljust(size) for ident in idents] * times:
                count += (await limiter.hit(ident, asked)).allowed is True
            admitted.append(count)
        del ident
        used.append(tracemalloc.get_traced_memory()[0])
    return [admitted, used]
