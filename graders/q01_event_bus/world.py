"""What the graders of q1 share: draw a scenario, play it, compare its story with the right one.

The judge keeps the scripts of all handlers and the log of all calls: a handler learns what to do
only when the bus has called it, so the log shows what the bus did.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from archprep.grading import expect, fake

HANDLERS = "audit billing email invoice ledger mailer metrics search shipping stock tax webhook".split()
TOPICS = "order user cart refund parcel coupon basket ticket".split()
VERBS = "paid placed sent closed opened late lost renewed".split()
ERRORS = "CardDeclined RateLimited SmtpDown StockGone LedgerLocked BadAddress TaxUnknown".split()
TEXTS = ("try again later", "no route", "row 7 is locked", "unknown country: XQ", "503 from upstream")


class About(msgspec.Struct):
    """An event as a handler saw it."""

    id: str
    type: str = ""
    payload: dict[str, Any] = {}
    key: str | None = None
    priority: int = 0
    attempt: int = 1
    occurred_at: float = 0.0


class Letter(msgspec.Struct):
    """A dead letter, as read from the bus."""

    event: About
    stage: str
    handler: str | None
    error_type: str
    error: str
    attempts: int
    at: float


class Seen(msgspec.Struct):
    """What the probe returned."""

    outcomes: list[tuple[int, float, str, str]]
    letters: list[Letter]
    dropped: int
    stuck: bool
    ended: float


@dataclass(slots=True)
class Call:
    """One call of a handler, a filter, a middleware or the journal. `order` counts all beginnings and ends."""

    kind: str
    name: str
    event: About
    start: float
    order: int
    end: float | None = None
    outcome: str = "running"
    end_order: int = -1


class Moment(NamedTuple):
    """Something at an instant; `about` is the id of its event."""

    at: float
    text: str
    about: str


@dataclass
class Play:
    """A scenario: its settings, subscriptions, steps and scripts, and then what happened."""

    rng: random.Random
    settings: dict[str, Any] = field(default_factory=dict)
    backoffs: list[float] = field(default_factory=list)
    middleware: list[str] = field(default_factory=list)
    journal: bool = False
    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    scripts: dict[tuple[str, str], list[list[list[Any]]]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    left: list[tuple[dict[str, Any], list[str]]] = field(default_factory=list)
    _clock: int = 0

    # -- drawing

    def names(self, count: int) -> list[str]:
        """Names of handlers that are not in use."""
        used = {s["name"] for s in self.subscriptions}
        return self.rng.sample([n for n in HANDLERS if n not in used], count)

    def type(self) -> str:
        return f"{self.rng.choice(TOPICS)}.{self.rng.choice(VERBS)}"

    def quarters(self, low: float, high: float) -> float:
        """A multiple of 0.25, so that sums of instants are exact."""
        return self.rng.randint(int(low * 4), int(high * 4)) / 4

    def error(self) -> list[Any]:
        return ["raise", self.rng.choice(ERRORS), self.rng.choice(TEXTS)]

    def event(self, type: str, **fields: Any) -> dict[str, Any]:
        letters = "abcdefghijkmnpqrstuvwxyz"
        name = f"{self.rng.choice(letters)}{self.rng.choice(letters)}{self.rng.randint(10, 99)}"
        if any(name == s["with"].get("event", {}).get("id") for s in self.steps):
            return self.event(type, **fields)
        return {"id": name, "type": type, "payload": {"amount": self.rng.randint(1, 999)}} | fields

    # -- the plan

    def subscribe(self, pattern: str, name: str, priority: int = 0, *, filtered: bool = False) -> str:
        self.subscriptions.append({"pattern": pattern, "name": name, "priority": priority, "filtered": filtered})
        return name

    def step(self, at: float, do: str, *, spawn: bool = False, **options: Any) -> int:
        """Add a step; its number finds its outcome. `spawn`: do not wait for it."""
        self.steps.append({"at": at, "do": do, "with": options, "spawn": spawn})
        return len(self.steps) - 1

    def publish(self, at: float, event: dict[str, Any], **options: Any) -> int:
        return self.step(at, "publish", event=event, **options)

    def script(self, name: str, event: dict[str, Any], *attempts: list[list[Any]]) -> None:
        """What `name` does with the event: one script for each call, the last for all further ones."""
        self.scripts[name, event["id"]] = list(attempts)

    def run(self, candidate: Any) -> Play:
        seen = candidate.observe(
            "play",
            world=fake(World(self)),
            settings=self.settings,
            backoffs=self.backoffs,
            subscriptions=self.subscriptions,
            middleware=self.middleware,
            journal=self.journal,
            steps=self.steps,
            returns=Seen,
        )
        self.seen: Seen = seen
        return self

    # -- what happened

    def of(self, *kinds: str) -> list[Call]:
        return [c for c in self.calls if c.kind in kinds]

    def starts(self) -> list[Moment]:
        return [start(c.start, c.name, c.event.id, c.event.attempt) for c in self.of("handler")]

    def outcome(self, number: int) -> tuple[float | None, str]:
        """When a step was over and how: "ok", the type of its exception, or "waiting"."""
        for step, at, outcome, _ in self.seen.outcomes:
            if step == number:
                return at, outcome
        return None, "waiting"

    def over(self, number: int, what: str | None = None) -> list[Moment]:
        at, outcome = self.outcome(number)
        return [] if at is None else [done(at, what or self._tell_step(self.steps[number]), outcome)]

    # -- the comparison

    def same(self, seen: Iterable[Moment], due: Iterable[Moment], *, says: str) -> None:
        """Fail the criterion with the first difference of two stories, told in words."""
        extra, missing = Counter(seen) - Counter(due), Counter(due) - Counter(seen)
        found = sorted({*extra, *missing})
        observed = tell_difference(found[0], extra, missing) if found else ""
        if found and self.seen.stuck:
            observed += " In the end the scenario hung: nothing was left that could ever run."
        given = self.given({found[0].about} - {""}) if found else None
        expect(not found, expected=says, observed=observed, given=given)

    def same_letters(self, due: Iterable[tuple[Any, ...]], *fields: str, says: str) -> None:
        """Compare the dead letters in these fields, in any order within one instant."""
        seen = [tuple(letter_field(letter, f) for f in fields) for letter in self.seen.letters]
        due = list(due)
        missing, extra = Counter(map(repr, due)) - Counter(map(repr, seen)), Counter(map(repr, seen)) - Counter(map(repr, due))
        if not missing and not extra:
            expect(True, expected=says, observed="")
            return
        lost = [d for d in due if repr(d) in missing]
        odd = [s for s in seen if repr(s) in extra]
        observed = f"There are {len(seen)} dead letters where {len(due)} are due. "
        observed += f"Missing: {tell_letter(fields, lost[0])}. " if lost else ""
        observed += f"Instead: {tell_letter(fields, odd[0])}." if odd and lost else ""
        observed += f"Not due: {tell_letter(fields, odd[0])}." if odd and not lost else ""
        about = {str((lost or odd)[0][0])}
        expect(False, expected=says, observed=observed, given=self.given(about))

    # -- the drawn input, in words

    def given(self, about: set[str] = frozenset()) -> str:
        """The scenario; only the lines on the events `about`, if there are any."""
        shown = {s["with"]["event"]["id"] for s in self.steps if "event" in s["with"]} & about
        lines = [f"Bus({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"]
        if self.backoffs:
            lines[0] += ", backoff: " + ", ".join(f"{n} -> {s:g} s" for n, s in enumerate(self.backoffs) if n)
        lines += [f"use {name}" for name in self.middleware]
        lines += [self._tell_subscription(s) for s in self.subscriptions]
        for step in self.steps:
            event = step["with"].get("event")
            if not shown or not event or event["id"] in shown:
                lines.append(f"at {step['at']:g} s: {self._tell_step(step)}")
        for (name, event_id), attempts in self.scripts.items():
            if not shown or event_id in shown:
                lines.append(f"{name} on {event_id}: " + "; then ".join(map(tell_script, attempts)))
        return "\n".join(lines)

    def _tell_subscription(self, s: dict[str, Any]) -> str:
        text = f"subscribe {s['pattern']!r} -> {s['name']}"
        text += f", priority {s['priority']}" if s["priority"] else ""
        return text + (", with a filter" if s["filtered"] else "")

    def _tell_step(self, step: dict[str, Any]) -> str:
        options = dict(step["with"])
        args = []
        if event := options.pop("event", None):
            extras = [f"{k} {event[k]}" for k in ("key", "priority") if event.get(k) is not None]
            args = [f"{event['id']} ({', '.join([event['type'], *extras])})"]
        if options.pop("spoil", False):
            args.append("then change its payload")
        within = options.pop("within", None)
        args += [f"{k}={v!r}" for k, v in options.items()]
        text = f"{step['do']}({', '.join(args)})"
        return text if within is None else f"{text} inside asyncio.timeout({within:g})"


class World:
    """The judge's half of the puppets: says what to do, and writes down every call."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._ticks = 0

    def begin(self, kind: str, name: str, event: Any, at: Any) -> tuple[int, list[list[Any]]]:
        call = Call(str(kind), str(name), msgspec.convert(event, About), float(at), self._tick())
        earlier = sum(c.kind == call.kind and c.name == call.name and c.event.id == call.event.id for c in self._play.calls)
        self._play.calls.append(call)
        key = call.name if call.kind in ("handler", "journal") else f"{call.kind} {call.name}"
        scripts = self._play.scripts.get((key, call.event.id)) or [[]]
        return len(self._play.calls) - 1, scripts[min(earlier, len(scripts) - 1)]

    def end(self, number: int, at: Any, outcome: Any) -> None:
        call = self._play.calls[number]
        call.end, call.outcome, call.end_order = float(at), str(outcome), self._tick()

    def pending(self) -> list[tuple[dict[str, Any], list[str]]]:
        return self._play.left

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks


# -- words


def start(at: float, name: str, event_id: str, attempt: int = 1) -> Moment:
    return Moment(at, f"{name} starts attempt {attempt} on {event_id}", event_id)


def done(at: float, what: str, outcome: str = "ok") -> Moment:
    return Moment(at, f"{what} returns" if outcome == "ok" else f"{what} raises {outcome}", "")


def tell_difference(first: Moment, extra: Counter[Moment], missing: Counter[Moment]) -> str:
    if first in missing:
        other = [m.at for m in sorted(extra) if m.text == first.text]
        if other:
            return f"{first.text} at {other[0]:g} s, not at {first.at:g} s."
        return f"Due at {first.at:g} s, and did not happen: {first.text}."
    later = [m.at for m in sorted(missing) if m.text == first.text]
    if later:
        return f"{first.text} at {first.at:g} s, too early: it is due at {later[0]:g} s."
    return f"At {first.at:g} s: {first.text}, and that must not happen."


def tell_script(script: Sequence[Sequence[Any]]) -> str:
    if not script:
        return "returns at once"
    return ", ".join(_tell(*part) for part in script)


def _tell(verb: str, *args: Any) -> str:
    return {
        "sleep": "takes {0:g} s",
        "stubborn": "takes {0:g} s; if cancelled, it goes on for {1:g} s",
        "raise": "raises {0}({1!r})",
        "cancelled": "raises CancelledError by itself",
        "mutate": "changes the payload",
        "answer": "answers {0}",
        "change": "passes on a copy with payload {0}",
        "next": "awaits next(event)",
    }[verb].format(*args)


def tell_letter(fields: Sequence[str], values: Sequence[Any]) -> str:
    return "event " + ", ".join(f"{'' if f == 'id' else f + ' '}{v if f == 'id' else repr(v)}" for f, v in zip(fields, values, strict=True))


def letter_field(letter: Letter, name: str) -> Any:
    return getattr(letter.event if name in ("id", "type", "payload", "key", "priority") else letter, name)


# -- models


def seconds(script: Sequence[Sequence[Any]]) -> float:
    """How long a script runs."""
    return sum(args[0] for verb, *args in script if verb in ("sleep", "stubborn"))


def fails(script: Sequence[Sequence[Any]]) -> bool:
    return any(verb in ("raise", "cancelled") for verb, *_ in script)


def lives(at: float, attempts: Sequence[list[list[Any]]], backoffs: Sequence[float]) -> tuple[list[float], float]:
    """The brief's rule of retries: the instants of all attempts, and of the end of the last one."""
    starts = []
    for number, script in enumerate(attempts, 1):
        starts.append(at)
        at += seconds(script)
        if not fails(script) or number == len(attempts):
            break
        at += backoffs[number]
    return starts, at


@dataclass(frozen=True)
class Load:
    """An event of a scheduling scenario, as its model sees it."""

    event: dict[str, Any]
    published: float
    seconds: float


def schedule(loads: Sequence[Load], places: int, *, ageless: bool = False) -> dict[str, float] | None:
    """The brief's rule of what comes next: the start of each event; None if the brief leaves it open.

    `ageless` is a wrong rule, to see whether a draw tells it apart: an event is as old as its turn.
    """
    queue, busy, starts, taken = list(loads), [], {}, {load.published for load in loads}
    freed: dict[str | None, float] = {}
    instants = sorted(taken)
    while instants:
        now = instants.pop(0)
        freed |= {load.event["key"]: end for end, load in busy if end == now}
        busy = [(end, load) for end, load in busy if end > now]
        while len(busy) < places and (free := _free(queue, busy, now)):
            load = max(free, key=lambda x: (x.event["priority"], -_turn(x, freed) if ageless else 0))
            end = now + load.seconds
            if end in taken:
                return None  # two things at one instant: their order is free
            queue.remove(load)
            taken.add(end)
            busy.append((end, load))
            starts[load.event["id"]] = now
            instants = sorted([*instants, end])
    return starts


def _turn(load: Load, freed: dict[str | None, float]) -> float:
    key = load.event["key"]
    return load.published if key is None else max(load.published, freed.get(key, 0.0))


def _free(queue: Sequence[Load], busy: Sequence[tuple[float, Load]], now: float) -> list[Load]:
    """Which queued events may go now, in publish order."""
    keys = {load.event["key"] for _, load in busy}
    free = []
    for load in queue:
        key = load.event["key"]
        if load.published <= now and (key is None or key not in keys):
            free.append(load)
        keys.add(key)
    return free
