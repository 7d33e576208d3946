"""What the sweep knows about q1: programs that make sense, in words, and the rules they touch."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from archprep.grading.toolkit.sweep import Sweep
from archprep.grading.toolkit.sweep_spec import renamed, scaled

from .sweep_draw import HANDLERS, Draft
from .sweep_words import tell

END = 1e9  # the instant of what has none
SHAPE = {"settings", "backoff", "subs", "events", "middleware", "handlers", "filters", "wraps"}
SHAPE |= {"refuse", "lives"}
STEPS = {
    "subscribe": {"sub"},
    "cancel": {"sub"},
    "publish": {"event"},
    "replay": {"index"},
}
ACTS = {"sleep": 1, "raise": 2, "cancelled": 0, "mutate": 0, "stubborn": 3, "next": 1}
ACTS |= {"publish": 1, "swallow": 0}


PLAINER = {
    "pattern": ["*"],
    "type": ["order.paid"],
    "concurrency": [8],
    "max_attempts": [1],
    "handler_timeout": [5.0],
    "end": ["return"],
}
# What decides a moment of this text in a program that, shrunk, still needs these features. The
# first line that fits counts.
RULES: list[tuple[str, set[str], str]] = [
    (r"^journal\.append", set(), "Task 4, Journal, 1"),
    (r"", {"refusing journal"}, "Task 4, Journal, 1"),
    (r"^journal\.settle", set(), "Task 4, Journal, 2"),
    (r"^journal\.close", set(), "Task 4, Journal, 3"),
    (r"", {"stop"}, "Task 4, stop()"),
    (r"", {"restart"}, "Task 4, Journal, 4"),
    (r"^subscribe", set(), "Task 1, Names"),
    (r"spoilt", set(), "Task 2, Payloads are private"),
    (r"", {"duplicate"}, "Task 4, Duplicates"),
    (r"", {"journal"}, "Task 4, Journal"),
    (r"^publish", {"queue_size"}, "Task 3, A full queue"),
    (r"^publish", set(), "Task 1, Middleware: it does not run inside publish()"),
    (r"^dead_letters_dropped", set(), "Task 2, The list is bounded"),
    (r"", {"dead_letter_limit"}, "Task 2, The list is bounded"),
    (r"", {"replay"}, "Task 2, replay()"),
    (r"", {"queue_size"}, "Task 3, A full queue"),
    (r"", {"key"}, "Task 3, Which event is next?"),
    (r"", {"priority"}, "Task 3, Which event is next?"),
    (r"", {"concurrency"}, "Task 3, How many?"),
    (r"", {"cancel"}, "Task 1, cancel()"),
    (r"stage routing", set(), "Task 1, No subscriber"),
    (r"^filter|stage filter", set(), "Task 1, Filters"),
    (r"^middleware|^next|stage middleware", set(), "Task 1, Middleware"),
    (r"dead letter", set(), "Task 2, Dead letters"),
    (r"", {"private payload"}, "Task 2, Payloads are private"),
    (r"starts attempt [2-9]", set(), "Task 2, Retries"),
    (r"", {"CancelledError"}, "Task 2, An attempt has failed"),
    (r"", {"time-out"}, "Task 2, An attempt has failed"),
    (r"", {"failing handler"}, "Task 2, Isolation and Retries"),
    (r"", {"middleware"}, "Task 1, Middleware"),
    (r"", {"filter"}, "Task 1, Filters"),
    (r"", {"handler priority"}, "Task 1, Handler priority"),
    (r"^idle|hangs|waits", set(), "Task 1, idle()"),
    (r"starts|is asked", set(), "Task 1, Patterns and Handler priority"),
]


class BusSweep(Sweep):
    plainer = PLAINER

    def draw(self, rng: random.Random, task: int) -> dict[str, Any]:
        return Draft(rng, task).program()

    def redraw(self, rng: random.Random, program: dict[str, Any]) -> dict[str, Any]:
        """Other names for all things, and all of time a little slower."""
        things = [*program["subs"], *program["events"], *program["middleware"]]
        names = dict(zip(HANDLERS, rng.sample(HANDLERS, len(HANDLERS)), strict=True))
        names |= {thing: f"{thing}{rng.choice('bcdfgh')}" for thing in things}
        return scaled(renamed(program, names), rng.randint(1024, 1536) / 1024)

    # -- what makes sense

    def valid(self, program: dict[str, Any]) -> bool:
        if not program.keys() >= SHAPE or not program["backoff"]:
            return False
        timed = all(
            any(act and act[0] in ("sleep", "stubborn") for act in call)
            for calls in program["handlers"].values()
            for call in calls
        )
        return (
            timed and self._parts(program) and all(self._life(program, s) for s in program["lives"])
        )

    def _parts(self, program: dict[str, Any]) -> bool:
        subs, events = program["subs"].values(), program["events"].values()
        acts = [
            a for t in ("handlers", "wraps") for cs in program[t].values() for c in cs for a in c
        ]
        return (
            bool(program["lives"])
            and all(number > 0 for number in [*program["settings"].values(), *program["backoff"]])
            and all({"name", "pattern", "takes"} <= sub.keys() and sub["takes"] > 0 for sub in subs)
            and all({"type", "payload"} <= event.keys() for event in events)
            and all(
                calls for t in ("handlers", "filters", "wraps") for calls in program[t].values()
            )
            and all(act and len(act) == 1 + ACTS.get(act[0], -1) for act in acts)
            and all(act[1] > 0 for act in acts if act[0] in ("sleep", "stubborn"))
            and all(act[1] in program["events"] for act in acts if act[0] == "publish")
        )

    def _life(self, program: dict[str, Any], steps: list[dict[str, Any]]) -> bool:
        """Steps are in order, and share an instant only while nothing runs yet."""
        known = {"sub": program["subs"], "event": program["events"]}
        for step in steps:
            if not {"at", "do", *STEPS.get(step.get("do", ""), ())} <= step.keys():
                return False
            if any(step[kind] not in things for kind, things in known.items() if kind in step):
                return False
        running = False
        for step, after in pairwise(steps):
            running |= step["do"] == "start"
            if after["at"] < step["at"] or (running and after["at"] == step["at"]):
                return False
        return True

    def shrinks(self, program: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Take a step, and all that follow, earlier."""
        for number, steps in enumerate(program["lives"]):
            for i, step in enumerate(steps):
                before = steps[i - 1]["at"] if i else 0.0
                for at in (before, float(int(before) + 1), float(round(step["at"]))):
                    later = [s | {"at": s["at"] + at - step["at"]} for s in steps[i:]]
                    lives = [*program["lives"]]
                    lives[number] = [*steps[:i], *later]
                    yield program | {"lives": lives}

    def needs(self, program: dict[str, Any]) -> dict[int, list[str]]:
        steps = [step for life in program["lives"] for step in life]
        does, settings = {step["do"] for step in steps}, program["settings"]
        published = [step["event"] for step in steps if step["do"] == "publish"]
        subs = [program["subs"][s["sub"]] for s in steps if s["do"] == "subscribe"]
        calls = [
            call
            for key, calls in program["handlers"].items()
            if key.split()[0] in {sub["name"] for sub in subs} and key.split()[1] in published
            for call in calls
        ]
        acts = [act for call in calls for act in call]
        verbs, events = {act[0] for act in acts}, [program["events"][e] for e in published]
        timeout = settings.get("handler_timeout", 5.0)
        slow = any(act[0] in ("sleep", "stubborn") and act[1] > timeout for act in acts)
        one = {
            "pattern": any(sub["pattern"] != "*" for sub in subs),
            "cancel": does & {"cancel"},
            "filter": any(sub.get("filter") for sub in subs),
            "middleware": program["middleware"],
            "handler priority": any(sub.get("priority") for sub in subs),
        }
        two = {
            "failing handler": verbs & {"raise"},
            "CancelledError": verbs & {"cancelled"},
            "time-out": slow,
            "replay": does & {"replay"},
            "private payload": verbs & {"mutate"} or any("spoil" in step for step in steps),
            "dead_letter_limit": "dead_letter_limit" in settings,
        }
        three = {
            "key": any(event.get("key") is not None for event in events),
            "priority": any(event.get("priority") for event in events),
            "queue_size": "queue_size" in settings,
            "concurrency": settings.get("concurrency", 8) < 8,
        }
        four = {
            "journal": "journal" in program,
            "refusing journal": "journal" in program and program["refuse"],
            "restart": len(program["lives"]) > 1,
            "stop": does & {"stop"},
            "duplicate": len({*published}) < len(published),
            "dedup_ttl": "dedup_ttl" in settings,
        }
        tasks = {1: one, 2: two, 3: three, 4: four}
        return {
            task: [f for f, used in features.items() if used] for task, features in tasks.items()
        }

    # -- the rules

    def rule(self, program: dict[str, Any], difference: Any) -> str | None:
        """Return the heading of the brief under which the first difference falls."""
        used = {feature for features in self.needs(program).values() for feature in features}
        for pattern, needed, rule in RULES:
            if needed <= used and re.search(pattern, difference.first[1]):
                return rule
        return None

    def when(self, instant: tuple[float, ...]) -> str:
        life, at = instant
        when = "In the end" if at == END else f"At {at:.6g} s"
        return f"{when} of life {life + 1:g}" if life else when

    def tell(self, program: dict[str, Any]) -> list[str]:
        return tell(program)
