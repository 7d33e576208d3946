"""Draws programs: what becomes of a bus, its subscriptions and its events.

Swarm testing: a program draws a few features and uses them a lot. What no rule decides is not
drawn: durations are multiples of 1/1024 s, so that two things seldom fall into one instant; no
handler takes zero seconds; steps have instants of their own.
"""

from __future__ import annotations

import random
from typing import Any

FEATURES = {  # by the task that introduces them
    1: "patterns filters cancel late clash order fail fail hang stubborn self spoil limit".split(),
    2: "keys urgent queue narrow".split(),
    3: "duplicates forget replay".split(),
    4: "journal slow refuse crash stop".split(),
}
NEEDS = {"replay": "fail", "limit": "fail", "forget": "duplicates"}
NEEDS |= dict.fromkeys(("slow", "refuse", "crash"), "journal")
TYPES = "order order.paid order.paid.late orders.paid user.paid user order. *.paid".split()
PATTERNS = "order.paid order.* order.paid.* * *.paid order* user.* user order.*.late".split()
HANDLERS = "mail stock audit ledger".split()
ERRORS = "CardDeclined SmtpDown StockGone".split()
SETTINGS = [
    ("narrow", "concurrency", [1, 1, 2]),
    ("queue", "queue_size", [1, 2, 3]),
    ("limit", "dead_letter_limit", [1, 1, 2]),
]
ANSWERS = [True, False, None, 0, "", 1, "yes", "raise", "raise"]

INSTANT = {"patterns", "filters", "cancel", "duplicates"}  # may leave an event without a handler


class Draft:
    """One program while it is drawn."""

    def __init__(self, rng: random.Random, task: int) -> None:
        self.rng, self.task = rng, task
        own = [f for f in FEATURES[task] if rng.random() < 0.45] or [rng.choice(FEATURES[task])]
        lower = [f for n in range(1, task) for f in FEATURES[n] if rng.random() < 0.2]
        self.on = {*own, *lower}
        self.on |= {NEEDS[f] for f in self.on if f in NEEDS}
        # An event that no handler works on ends in the instant in which others wait for room.
        if self.has("queue") and task > 2 and self.on & INSTANT:
            self.on.discard("queue")
        elif self.has("queue"):
            self.on -= INSTANT
        if any(self.has(f, 0.8) for f in ("queue", "keys", "urgent")):
            self.on.add("narrow")  # or events seldom wait
        self.at = 0.0
        self.timeout = self.seconds(4, 6)
        ttl = self.seconds(8, 20) + 1 / 4096  # so that no success is exactly as old
        self.attempts = rng.choice([1, 1, 2, 2, 3])
        self.edge = (ttl, ttl + 5)  # about when a success that is now or soon is forgotten
        self.settings = {"handler_timeout": self.timeout, "max_attempts": self.attempts}
        self.settings |= {"dedup_ttl": ttl} if self.has("forget") else {}
        self.settings |= {name: rng.choice(of) for on, name, of in SETTINGS if self.has(on)}
        self.subs = {f"s{n}": self.sub(HANDLERS[n]) for n in range(rng.choice([1, 1, 2, 2, 3]))}
        most = rng.choice([5, 6, 8] if task == 2 else [2, 2, 3, 4, 5, 6])
        self.events = {f"e{n}": self.event(n) for n in range(1, most)}
        self.late = self.later_subs()
        self.fresh: list[str] = []  # events that only the second life publishes

    # -- small draws

    def has(self, feature: str, chance: float = 1.0) -> bool:
        return feature in self.on and (chance == 1.0 or self.rng.random() < chance)

    def seconds(self, low: float, high: float) -> float:
        return self.rng.randint(int(low * 1024), int(high * 1024)) / 1024

    def later(self, low: float, high: float) -> float:
        self.at += self.seconds(low, high)
        return self.at

    # -- the parts

    def program(self) -> dict[str, Any]:
        lives = [self.life(first=True)]
        if self.has("crash"):
            lives[0].append({"at": self.later(0.1, 5), "do": "crash"})
        if self.has("crash") or (self.has("journal") and self.has("stop", 0.7)):
            self.fresh = ["f0", "f1"][: self.rng.choice([0, 1, 2])]
            self.events |= {event: self.event(9) for event in self.fresh}
            lives.append(self.life(first=False))
        return {
            "settings": self.settings,
            "backoff": [self.seconds(0.5, 3) for _ in range(2)],
            "subs": self.subs,
            "events": self.events,
            "handlers": self.handlers(),
            "filters": self.filters(),
            "refuse": {event: 1 for event in self.events if self.has("refuse", 0.4)},
            "lives": lives,
        } | ({"journal": self.journal()} if self.has("journal") else {})

    def sub(self, name: str) -> dict[str, Any]:
        sub: dict[str, Any] = {"name": name, "pattern": "order.*", "takes": self.seconds(0.25, 3.5)}
        if self.has("patterns"):
            sub["pattern"] = self.rng.choice(PATTERNS)
        if self.has("order"):
            sub["priority"] = self.rng.choice([-1, 0, 5])
        return sub | ({"filter": True} if self.has("filters", 0.7) else {})

    def later_subs(self) -> list[str]:
        """Subscriptions that come later; some take a name again."""
        late: dict[str, Any] = {}
        for number in range(self.rng.choice([1, 1, 2])):
            if self.has("late", 0.8):
                late[f"t{number}"] = self.sub(HANDLERS[3])
            if self.has("clash", 0.8):
                late[f"u{number}"] = self.sub(HANDLERS[self.rng.choice([0, 0, 1])])
        self.subs |= late
        return [*late]

    def event(self, number: int) -> dict[str, Any]:
        event: dict[str, Any] = {"type": "order.paid", "payload": {"n": number}}
        if self.has("spoil"):
            event["payload"] |= {"tags": ["a"], "deep": {"list": [1]}}
        if self.has("patterns", 0.8):
            event["type"] = self.rng.choice(TYPES)
        if self.has("keys"):
            event["key"] = self.rng.choice(["k", "k", "", None])
        if self.has("urgent"):
            event["priority"] = self.rng.choice([-2, 0, 0, 3])
        return event

    def journal(self) -> dict[str, float]:
        """How long its writes take, where the brief says what happens meanwhile."""
        slow = {"append": self.seconds(0.01, 0.05), "close": self.seconds(0.3, 2)}
        slow["settle"] = self.seconds(0.3, 2)
        if self.has("stop"):
            return {}  # what becomes of a write that stop() meets?
        if self.has("queue"):
            del slow["append"]  # does an event that is being appended take room?
        return {what: takes for what, takes in slow.items() if self.has("slow", 0.5)}

    def handlers(self) -> dict[str, Any]:
        """What a handler does with an event, call by call."""
        kinds = [k for k in ("fail", "hang", "stubborn", "self") if self.has(k)]
        scripts, a = {}, self.attempts
        for name in {sub["name"]: 0 for sub in self.subs.values()}:
            for event in self.events:
                calls: list[list[Any]] = []
                if kinds and self.rng.random() < 0.6:
                    failures = self.rng.choice([1, a, a, a, a + 1, 2 * a])
                    calls = [self.failure(self.rng.choice(kinds)) for _ in range(failures)]
                if calls or self.rng.random() < 0.5:
                    calls.append([["sleep", self.seconds(0.25, 3.5)]])
                if self.has("spoil", 0.4):
                    calls = [[["mutate"], *call] for call in calls]
                scripts[f"{name} {event}"] = calls
        return {key: calls for key, calls in scripts.items() if calls}

    def failure(self, kind: str) -> list[Any]:
        takes = self.seconds(0.25, 3.5)
        if kind == "fail":
            error = [self.rng.choice(ERRORS), f"row {self.rng.randint(1, 9)}"]
            return [["sleep", takes], ["raise", *error]]
        if kind == "self":
            return [["sleep", takes], ["cancelled"]]
        if kind == "stubborn" and not self.has("stop"):
            more, end = self.rng.choice([0.0, takes]), self.rng.choice(["return", "raise"])
            return [["stubborn", self.timeout + takes, more, end]]
        return [["sleep", self.timeout + takes]]

    def filters(self) -> dict[str, Any]:
        return {
            f"{sub['name']} {event}": self.rng.choices(ANSWERS, k=self.rng.choice([1, 2]))
            for sub in self.subs.values()
            for event in self.events
            if "filter" in sub and self.rng.random() < 0.7
        }

    # -- the steps

    def life(self, *, first: bool) -> list[dict[str, Any]]:
        rng, self.at = self.rng, 0.0
        self.steps: list[dict[str, Any]] = []
        for key in [key for key in self.subs if key not in self.late]:
            self.step(0.0, "subscribe", sub=key)
        todo = self.to_publish(first=first)
        early = rng.choice([0, 0, 1, len(todo)])
        for event in todo[:early]:
            self.publish(event, 0.0625, 0.25)
        self.step(self.later(0.0625, 0.25), "start")
        hurry = (0.0625, rng.choice([0.3, 0.7, 0.7, 5]))
        for do, what in self.mixed(todo[early:]):
            if do == "publish":
                self.publish(what, *hurry)
            else:
                self.step(self.later(*hurry), do, **({"sub": what} if what else {}))
        self.again()
        self.replays()
        self.stop()
        return self.steps

    def to_publish(self, *, first: bool) -> list[str]:
        todo = [e for e in self.events if e not in self.fresh]
        if not first and self.rng.random() < 0.7:
            todo = []
        if not first or self.has("duplicates"):
            todo += self.rng.choices([*self.events], k=self.rng.choice([0, 1, 2]))
        return [*self.fresh, *todo] if self.rng.random() < 0.7 else [*todo, *self.fresh]

    def mixed(self, events: list[str]) -> list[tuple[str, str]]:
        """Publications, later subscriptions and cancellations in any order."""
        rng = self.rng
        rest = [("publish", event) for event in events]
        rest += [("subscribe", key) for key in self.late if not self.has("clash", 0.2)]
        if self.has("cancel"):
            rest += [("cancel", key) for key in self.subs if rng.random() < 0.5]
            rest += [("cancel", "s0")] * (rng.random() < 0.3)
        # While a publisher waits for room, or stop() has begun: who knows what idle() should do.
        idle = self.task > 1 and not {"queue", "stop"} & self.on and rng.random() < 0.4
        rest += [("idle", "")] * idle
        rng.shuffle(rest)
        if self.has("cancel") and "u0" in self.subs and rng.random() < 0.6:  # whose name is it?
            again = [("cancel", "s0"), ("subscribe", "u0"), ("cancel", "s0")]
            place = rng.randint(0, len(rest))
            rest[place:place] = again[: rng.choice([2, 3])]
        return rest

    def again(self) -> None:
        """Publish the same ids later."""
        event = self.rng.choice([*self.events])
        for _ in range(self.rng.choice([1, 2, 3]) if self.has("duplicates") else 0):
            event = event if self.rng.random() < 0.6 else self.rng.choice([*self.events])
            self.publish(event, *self.rng.choice([(0.1, 2), (8, 20), self.edge]))

    def replays(self) -> None:
        if not self.has("replay"):
            return
        wait = self.rng.choice([(5, 30), (30, 60), (0.1, 8)])
        for _ in range(self.rng.choice([1, 2, 3, 4])):
            index = self.rng.choice([0, 0, 0, 0, 1, 1, 2, 7])
            self.step(self.later(*wait), "replay", index=index)
            wait = (20, 40) if self.has("forget", 0.3) else self.rng.choice([(0.1, 1), (4, 20)])
            if self.has("limit", 0.3) or self.has("duplicates", 0.3):
                self.publish(self.rng.choice([*self.events]), 0.1, 5)
            if not {"queue", "stop"} & self.on and self.rng.random() < 0.2:
                self.step(self.later(0.1, 1), "idle")
        self.step(self.later(1, 30), "look")

    def stop(self) -> None:
        if not self.has("stop"):
            return
        events = [*self.events]
        for event in self.rng.choices(events, k=3) if self.has("queue", 0.7) else []:
            self.step(self.later(0.0625, 0.3), "publish", event=event)  # some wait for room
        timeout = self.seconds(0.5, 4)
        kinds: list[dict[str, Any]] = [{"drain": False}, {"timeout": 300.0}, {"timeout": timeout}]
        kinds.append({"timeout": timeout, "within": timeout / 2})
        self.step(self.later(0.1, 6), "stop", **self.rng.choice(kinds))
        for event in self.rng.choices(events, k=2):
            self.publish(event, 0.1, 3)

    def publish(self, event: str, low: float, high: float) -> None:
        options: dict[str, Any] = {"spoil": True} if self.has("spoil", 0.5) else {}
        if self.has("queue", 0.35):
            options["block"] = False
        elif self.has("queue", 0.3):
            options["within"] = self.seconds(0.25, 2)
        self.step(self.later(low, high), "publish", event=event, **options)

    def step(self, at: float, do: str, **options: Any) -> None:
        self.steps.append({"at": at, "do": do, **options})
