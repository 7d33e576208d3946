"""Plays programs on the candidate's bus: lives of one bus after another, with one journal.

A trace is what the puppets (handlers, filters, journal) and the steps have seen, at
which virtual instant. Nothing here knows what is right. A step that the brief does not decide in
the present state of the bus is skipped; `undefined` matters in the trace of the reference alone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from itertools import groupby

from puppet_probes import Journal, Puppets, mutate

from archprep.worker.scripted_errors import is_scripted, summarize
from archprep.worker.virtual_loop import VirtualLoop

QUIET = 400.0  # virtual seconds after the last step of a life
REFUSALS = (ValueError, RuntimeError, IndexError, LookupError, TimeoutError, asyncio.QueueFull)
REFUSALS += (OSError, asyncio.CancelledError)
UNSAID = ("TimeoutError", "CancelledError")  # their text is free


def play_programs(programs, traces):
    logging.disable(logging.CRITICAL)
    gc.disable()  # what is held weakly must not depend on the programs before
    for program in programs:
        traces.add(play(program))


def play(program):
    world = {"moments": [], "undefined": [], "errors": []}
    calls, journal = Counter(), "journal" in program and Journal(program)
    for life, steps in enumerate(program["lives"]):
        Stage(program, life, calls, journal, world).run(steps)
    return world


class Loop(VirtualLoop):
    """Notices two timers that fire in one instant: their order is not said."""

    def __init__(self):
        self.timers, self.tie = {}, False
        self.before = lambda: None  # called when time has gone on, before anything happens
        super().__init__(expected=is_scripted)

    def call_at(self, when, callback, *args, context=None):
        handle = super().call_at(when, self.fire, when, callback, args, context=context)
        self.timers.setdefault(when, []).append(handle)
        return handle

    def fire(self, when, callback, args):
        self.before()
        live = [handle for handle in self.timers[when] if not handle.cancelled()]
        self.tie |= len(live) > 1
        self.timers[when] = live[1:]
        callback(*args)


class Stage(Puppets):
    """One life of a bus."""

    def __init__(self, program, life, calls, journal, world):
        from eventbus import Bus

        super().__init__(program, life, calls, Loop(), world)
        self.journal, self.started = journal, False
        self.replays = 0
        self.subscribed, self.stopping, self.publishing = {}, False, Counter()
        self.inherited = set(journal.entries) if journal else set()
        settings, pauses = dict(program["settings"]), program["backoff"]
        settings["backoff"] = lambda n: pauses[min(n, len(pauses)) - 1]
        if journal:
            journal.stage = self
            settings["journal"] = journal
        self.bus, self.letters, self.dropped = Bus(**settings), 0, 0
        if "dead_letter_limit" in settings:
            self.loop.before = self.count_letters

    def run(self, steps):
        stuck = self.loop.play(self.take(steps))
        broke = self.loop.crash()
        if isinstance(broke, NotImplementedError) or (broke and stuck):
            raise broke
        if broke:
            self.world["errors"].append(summarize(broke))
        if stuck:
            self.note(f"the bus hangs: it {stuck}")
        if self.loop.tie:
            self.undefined("two timers of one instant")
        self.loop.close()

    def count_letters(self):
        """Notice that a full list has dropped one of several letters of one instant."""
        dropped, before = self.bus.dead_letters_dropped, self.letters
        self.letters = len(self.bus.dead_letters) + dropped
        if dropped > self.dropped and self.letters > before + 1:
            self.undefined("which letter of one instant a full list drops")
        self.dropped = dropped

    def look(self):
        """Note the dead letters, oldest first; those of one instant in any order."""
        order = groupby(self.bus.dead_letters, key=lambda letter: letter.at)
        texts = [text for _, equals in order for text in sorted(map(self.letter, equals))]
        for number, text in enumerate(texts):
            self.note(f"dead letter {number} is {text}")
        if self.bus.dead_letters_dropped:
            self.note(f"dead_letters_dropped is {self.bus.dead_letters_dropped}")

    def letter(self, letter):
        free = letter.error_type in UNSAID or letter.stage == "routing"
        error = letter.error_type if free else f"{letter.error_type}({letter.error})"
        event, attempt = letter.event, letter.event.attempt
        odd = self.seen(event) + (f" with attempt={attempt}" if attempt != 1 else "")
        where = f"stage {letter.stage}, handler {letter.handler}"
        return f"{event.id}{odd}, {where}, {error}, attempts {letter.attempts}, at {letter.at:g}"

    # -- steps

    async def take(self, steps):
        tasks = []
        for step in steps:
            if step["at"] > self.loop.time():
                await asyncio.sleep(step["at"] - self.loop.time())
            if step["do"] == "crash":
                self.over = True
                return
            if why := self.outside(step):
                if step["do"] == "start":  # two right answers may be in different states by then
                    self.undefined(why)
                continue
            tasks.append((step, self.loop.create_task(self.step(step))))
            for _ in range(0 if self.started else 7):  # nothing runs yet: steps have an order
                await asyncio.sleep(0)
            if step["do"] == "stop" and step.get("within"):
                await asyncio.wait([tasks[-1][1]])  # what a cancelled stop() leaves is not said
                now = [self.life, self.loop.time()]
                self.world["moments"][:] = [
                    m for m in self.world["moments"] if m[0] != now or m[1].startswith("stop")
                ]
                self.over = True
                return
        await asyncio.sleep(QUIET)
        for step, task in tasks:
            if not task.done():
                self.note(f"{tell(step)} still waits", timed=False)
        self.look()

    def outside(self, step):
        """Say why the brief does not decide what this step does now, if it does not."""
        do, event, running = step["do"], step.get("event"), self.started and not self.stopping
        undecided = {
            "cancel": lambda: step["sub"] not in self.subscribed,
            "replay": lambda: not running,
            "stop": lambda: (
                not running or self.replays or (self.journal and self.journal.appending)
            ),
            "idle": lambda: not running,
            "start": lambda: self.started,
            "publish": lambda: self.publishing[event] or self.known_to_the_journal(event),
        }.get(do, bool)()
        return f"{do} in a state that the brief does not decide" if undecided else ""

    def known_to_the_journal(self, event_id):
        """Whether pending() has returned it, or a dead letter of it may keep it open."""
        if not self.journal:
            return False
        letters = {letter.event.id for letter in self.bus.dead_letters}
        lost = self.replays or self.bus.dead_letters_dropped
        return event_id in letters or lost or (event_id in self.inherited and self.started)

    async def step(self, step):
        label = tell(step)
        try:
            doing = getattr(self, "do_" + step["do"])(step)
            if doing is not None:
                async with asyncio.timeout(step.get("within")):
                    await doing
        except NotImplementedError:
            raise
        except REFUSALS as e:
            kind = next(kind for kind in REFUSALS if isinstance(e, kind))
            self.note(f"{label} raises {kind.__name__}")
            self.world["errors"].append(summarize(e))
        else:
            self.note(f"{label} returns")

    def do_subscribe(self, step):
        sub = self.program["subs"][step["sub"]]
        accepts = self.accepts(sub["name"]) if sub.get("filter") else None
        options = {"name": sub["name"], "priority": sub.get("priority", 0), "accepts": accepts}
        self.subscribed[step["sub"]] = self.bus.subscribe(
            sub["pattern"], self.handler(sub), **options
        )

    def do_cancel(self, step):
        self.subscribed[step["sub"]].cancel()

    async def do_start(self, _):
        self.started = True
        if self.journal:  # pending() returns what was published before, too
            self.inherited = {*self.inherited, *self.journal.entries}
        await self.bus.start()

    async def do_idle(self, _):
        await self.bus.idle()

    async def do_stop(self, step):
        self.stopping = True
        await self.bus.stop(**{k: step[k] for k in ("drain", "timeout") if k in step})

    async def do_look(self, _):
        self.look()

    async def do_publish(self, step):
        event = self.event(step["event"])
        self.publishing[event.id] += 1
        if step.get("spoil"):
            self.loop.call_soon(self.loop.call_soon, mutate, event.payload)
        try:
            await self.bus.publish(event, block=step.get("block", True))
        finally:
            self.publishing[event.id] -= 1
            if step.get("spoil"):
                mutate(event.payload)

    async def do_replay(self, step):
        letters, index = self.bus.dead_letters, step["index"]
        if index < len(letters):
            if len({letter.at for letter in letters}) < len(letters):
                self.undefined("replay among letters of one instant")
            if not self.may_replay(letters[index]):
                return
        self.replays += 1
        try:
            await self.bus.replay(index)
        finally:
            self.replays -= 1

    def may_replay(self, letter):
        """Whether one handler alone has had its name."""
        subs = [k for k in self.subscribed if self.program["subs"][k]["name"] == letter.handler]
        return len(subs) < 2


def tell(step):
    args = [str(step[k]) for k in ("event", "sub", "index") if k in step]
    args += [f"{k}={step[k]}" for k in ("block", "drain", "timeout") if k in step]
    within = f" within {step['within']:g} s" if "within" in step else ""
    return f"{step['do']}({', '.join(args)}){within}"
