"""What the sweep knows about q1: programs that make sense, and the rules they touch."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from archprep.grading.toolkit.sweep import Sweep
from archprep.grading.toolkit.sweep_spec import Moment, Trace, renamed, scaled

from .draw import HANDLERS, Draft
from .words import tell

END = 1e9  # the instant of what has none
TASKS = (1, 2, 3, 4)
STEPS = {"subscribe": {"sub"}, "cancel": {"sub"}, "publish": {"event"}, "replay": {"index"}}
ACTS = {"sleep": 1, "raise": 2, "cancelled": 0, "mutate": 0, "stubborn": 3}

# What decides a moment of this text in a program that, shrunk, still needs these features. The
# first line that fits counts.
RULES: list[tuple[str, str, str]] = [
    (r"^replay.*raises (Index|Lookup)", "", "3.7"),
    (r"^subscribe", "", "1.2"),
    (r"spoilt", "", "1.10"),
    (r"^journal\.append|raises OSError", "", "4.1"),
    (r"", "refusing", "4.1"),
    (r"^journal\.settle", "", "4.2"),
    (r"^publish", "stop", "4.6"),
    (r"^stop", "within", "4.9"),
    (r"dead letter|journal|starts", "stop", "4.8"),
    (r"", "stop", "4.7"),
    (r"", "restart", "4.5"),
    (r"", "slow_settle duplicate", "4.2"),
    (r"^journal\.close", "failure", "4.4"),
    (r"^journal\.close", "", "4.3"),
    (r"", "slow_settle", "4.2"),
    (r"", "slow_close", "4.3"),
    (r"^publish", "duplicate", "3.1"),
    (r"^idle", "replay", "3.6"),
    (r"", "replay key", "3.6"),
    (r"", "replay concurrency", "3.6"),
    (r"^dead_letters_dropped", "", "1.9"),
    (r"", "dead_letter_limit", "1.9"),
    (r"dead letter", "replay", "3.5"),
    (r"", "replay", "3.4"),
    (r"", "duplicate dedup_ttl", "3.2"),
    (r"", "duplicate failure", "3.3"),
    (r"", "duplicate", "3.2"),
    (r"^publish", "queue_size", "2.5"),
    (r"^publish", "", "2.1"),
    (r"", "queue_size", "2.5"),
    (r"", "key", "2.3"),
    (r"", "urgent", "2.4"),
    (r"", "concurrency", "2.2"),
    (r"", "cancel", "1.3"),
    (r"stage routing", "pattern", "1.1"),
    (r"stage routing", "", "1.8"),
    (r"^filter|stage filter", "", "1.5"),
    (r"", "spoil", "1.10"),
    (r"starts attempt [2-9]", "", "1.7"),
    (r"starts|is asked", "pattern", "1.1"),
    (r"starts", "others", "1.4"),
    (r"", "CancelledError", "1.6"),
    (r"", "slow", "1.6"),
    (r"starts", "priority", "1.4"),
    (r"starts", "failure", "1.7"),
    (r"dead letter", "retry", "1.7"),
    (r"dead letter", "", "1.8"),
    (r"^idle", "", "2.6"),
    (r"hangs|waits", "idle", "2.6"),
    (r"", "filter", "1.5"),
    (r"", "priority", "1.4"),
    (r"", "failure", "1.4"),
    (r"starts|is asked", "", "1.1"),
    (r"", "", "1.4"),
]


# What a moment says that only these rules decide.
DETAILS = [
    ({"1.7"}, re.compile(r" attempt \d+(?= on )")),
    ({"1.8"}, re.compile(r" with attempt=\d+|, attempts \d+, at [\d.]+")),
    ({"1.10"}, re.compile(r" with payload=.*?(?=, stage|$)")),
    ({"1.3", "1.5", "3.2", "3.4"}, re.compile(r"^filter of .*")),
]
TIMELESS = {"1.1", "1.2", "1.8", "1.9", "1.10"}


class BusSweep(Sweep):
    """Compares buses in all that the rules decide, or only in what concerns the rule `about`."""

    plainer = {  # noqa: RUF012 - as the base class declares it
        "pattern": ["*"],
        "type": ["order.paid"],
        "concurrency": [8],
        "max_attempts": [1],
        "handler_timeout": [5.0],
        "end": ["return"],
    }

    def __init__(self, about: str = "") -> None:
        self._aside = [pattern for rules, pattern in DETAILS if about and about not in rules]
        self._timeless = about in TIMELESS

    def draw(self, rng: random.Random, task: int) -> dict[str, Any]:
        return Draft(rng, task).program()

    def redraw(self, rng: random.Random, program: dict[str, Any]) -> dict[str, Any]:
        """Other names for all things, and all of time a little slower."""
        things = [*program["subs"], *program["events"]]
        names = dict(zip(HANDLERS, rng.sample(HANDLERS, len(HANDLERS)), strict=True))
        names |= {thing: f"{thing}{rng.choice('bcdfgh')}" for thing in things}
        return scaled(renamed(program, names), rng.randint(1024, 1536) / 1024)

    # -- what makes sense

    def valid(self, program: dict[str, Any]) -> bool:
        subs, events = program["subs"].values(), program["events"].values()
        calls = [call for calls in program["handlers"].values() for call in calls]
        waits = [act for call in calls for act in call if act[0] in ("sleep", "stubborn")]
        settings = {"dead_letter_limit": 1} | program["settings"]
        numbers = [1 + settings.pop("dead_letter_limit"), *settings.values(), *program["backoff"]]
        numbers += [sub["takes"] for sub in subs] + [act[1] for act in waits]
        return (
            {"refuse", "filters"} <= program.keys()
            and all({"name", "pattern"} <= sub.keys() for sub in subs)
            and all({"type", "payload"} <= event.keys() for event in events)
            and all([program["backoff"], program["lives"], *program["handlers"].values()])
            and all(program["filters"].values())
            and all(number > 0 for number in numbers)
            and settings.get("dedup_ttl", 0.5) % 1  # whole numbers meet: what then is not decided
            and all(len(act) == 1 + ACTS[act[0]] for call in calls for act in call)
            and all(any(act in waits for act in call) for call in calls)
            and all(self._life(program, steps) for steps in program["lives"])
        )

    def _life(self, program: dict[str, Any], steps: list[dict[str, Any]]) -> bool:
        """Steps are in order, and share an instant only while nothing runs yet."""
        start = next((step["at"] for step in steps if step["do"] == "start"), END)
        return all(
            STEPS.get(step["do"], set()) <= step.keys()
            and step.get("sub", "") in {"", *program["subs"]}
            and step.get("event", "") in {"", *program["events"]}
            and (step["at"] < after["at"] or step["at"] == after["at"] < start)
            for step, after in pairwise([*steps, {"at": END}])
        )

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
        events = [program["events"][event] for event in published]
        subs = [program["subs"][s["sub"]] for s in steps if s["do"] == "subscribe"]
        played = {f"{sub['name']} {event}" for sub in subs for event in published}
        calls = [call for key in played for call in program["handlers"].get(key, ())]
        acts = [act for call in calls for act in call]
        verbs = {act[0] for act in acts}
        limit = settings.get("handler_timeout", 5.0)
        slow = any(act[0] in ("sleep", "stubborn") and act[1] > limit for act in acts)
        answers = [a for key in played for a in program["filters"].get(key, ())]
        failure = slow or {"raise", "cancelled"} & verbs or "raise" in answers
        journal = program.get("journal", {})
        used = [
            (1, "others", len(subs) > 1),
            (1, "pattern", any(sub["pattern"] != "*" for sub in subs)),
            (1, "cancel", "cancel" in does),
            (1, "filter", any(sub.get("filter") for sub in subs)),
            (1, "priority", any(sub.get("priority") for sub in subs)),
            (1, "failure", failure),
            (1, "CancelledError", "cancelled" in verbs),
            (1, "slow", slow),
            (1, "retry", failure and settings.get("max_attempts", 3) > 1),
            (1, "spoil", "mutate" in verbs or any("spoil" in step for step in steps)),
            (1, "dead_letter_limit", "dead_letter_limit" in settings),
            (2, "key", any(event.get("key") is not None for event in events)),
            (2, "urgent", any(event.get("priority") for event in events)),
            (2, "queue_size", "queue_size" in settings),
            (2, "concurrency", settings.get("concurrency", 8) < 8),
            (2, "idle", "idle" in does),
            (3, "duplicate", len({*published}) < len(published)),
            (3, "dedup_ttl", "dedup_ttl" in settings),
            (3, "replay", "replay" in does),
            (4, "journal", "journal" in program),
            (4, "refusing", "journal" in program and program["refuse"]),
            (4, "slow_settle", "settle" in journal),
            (4, "slow_close", "close" in journal),
            (4, "restart", len(program["lives"]) > 1),
            (4, "stop", "stop" in does),
            (4, "within", any(s["do"] == "stop" and "within" in s for s in steps)),
        ]
        return {task: [f for at, f, is_used in used if is_used and at == task] for task in TASKS}

    # -- the rules

    def rule(self, program: dict[str, Any], difference: Any) -> str | None:
        """Return the rule under which the first difference falls."""
        used = {feature for features in self.needs(program).values() for feature in features}
        if difference.first[0][0] > 0:  # a later life: how the one before stopped has not mattered
            used -= {"stop", "within"}
        for pattern, needed, rule in RULES:
            if {*needed.split()} <= used and re.search(pattern, difference.first[1]):
                return rule
        return None

    def story(self, trace: Trace) -> Counter[Moment]:
        return Counter(
            ((life, END if self._timeless else at), text)
            for (life, at), told in trace.moments
            if (text := self._plain(told))
        )

    def _plain(self, text: str) -> str:
        for pattern in self._aside:
            text = pattern.sub("", text)
        return text

    def when(self, instant: tuple[float, ...]) -> str:
        life, at = instant
        when = "In the end" if at == END else f"At {at:.6g} s"
        return f"{when} of life {life + 1:g}" if life else when

    def tell(self, program: dict[str, Any]) -> list[str]:
        return tell(program)
