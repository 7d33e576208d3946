"""What the graders of q1 share: draw a scenario, play it, compare its story with the right one.

The judge keeps the scripts of all handlers and the log of all calls: a handler learns what to do
only when the bus has called it, so the log shows what the bus did.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any

import msgspec

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import Refuse, expect, exposed, fake

from .records import About, Call, Seen, letter_field
from .words import Moment, done, start, tell_difference, tell_letters, tell_script, written

HANDLERS = (
    "audit billing email invoice ledger mailer metrics search shipping stock tax webhook".split()
)
MIDDLEWARE = "tracing timing tenant quota redact enrich".split()
TOPICS = "order user cart refund parcel coupon basket ticket".split()
VERBS = "paid placed sent closed opened late lost renewed".split()
ERRORS = "CardDeclined RateLimited SmtpDown StockGone LedgerLocked BadAddress TaxUnknown".split()
TEXTS = (
    "try again later",
    "no route",
    "row 7 is locked",
    "unknown country: XQ",
    "503 from upstream",
)

Index = Annotated[int, msgspec.Meta(ge=0)]
HANGS = {
    "waits": " In the end the scenario hung: nothing was left that could ever run.",
    "spins": " In the end the scenario hung: the loop turned thousands of times in one instant, "
    "as it does when something waits with sleep(0).",
}


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
    # What the journal holds from an earlier life: events and the names of settled handlers.
    left: list[tuple[dict[str, Any], list[str]]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    seen: Seen = field(default_factory=Seen)
    broke: CandidateError | None = None
    _check: Callable[[], None] = lambda: None

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
        """An event with an id that was not drawn before."""
        letters = "abcdefghijkmnpqrstuvwxyz"
        while (
            name := "".join(self.rng.choices(letters, k=2)) + str(self.rng.randint(10, 99))
        ) in self.ids:
            pass
        self.ids.add(name)
        return {"id": name, "type": type, "payload": {"amount": self.rng.randint(1, 999)}} | fields

    def drawn(self, call: Call) -> dict[str, Any] | None:
        """The event of a call as it was published."""
        events = (step["with"].get("event", {}) for step in self.steps)
        return next((event for event in events if event.get("id") == call.event.id), None)

    # -- the plan

    def subscribe(
        self, pattern: str, name: str, priority: int = 0, *, filtered: bool = False
    ) -> str:
        self.subscriptions.append(
            {"pattern": pattern, "name": name, "priority": priority, "filtered": filtered}
        )
        return name

    def step(self, at: float, do: str, *, spawn: bool = False, **options: Any) -> int:
        """Add a step; its number finds its outcome. `spawn`: do not wait for it."""
        self.steps.append({"at": at, "do": do, "with": options, "spawn": spawn})
        return len(self.steps) - 1

    def publish(self, at: float, event: dict[str, Any], **options: Any) -> int:
        return self.step(at, "publish", event=event, **options)

    def script(self, name: str, event: dict[str, Any], *attempts: list[list[Any]]) -> None:
        """What `name` does with the event: a script for each call, the last for all more."""
        self.scripts[name, event["id"]] = list(attempts)

    def checked_by(self, check: Callable[[], None]) -> Play:
        """Say how to judge what happened, once it has."""
        self._check = check
        return self

    def check(self) -> None:
        """Judge what happened."""
        if self.broke:
            raise self.broke
        self._check()

    def inputs(self) -> dict[str, Any]:
        """What the probe is told in advance: no script."""
        names = ("settings", "backoffs", "subscriptions", "middleware", "journal", "steps")
        return {name: getattr(self, name) for name in names}

    # -- what happened

    def of(self, *kinds: str) -> list[Call]:
        return [c for c in self.calls if c.kind in kinds]

    def starts(self) -> list[Moment]:
        return [start(c.start, c.name, c.event.id, c.event.attempt) for c in self.of("handler")]

    def outcome(self, number: int | None) -> tuple[float | None, str]:
        """When a step was over and how: "ok", the type of its exception, or "waiting"."""
        for step, at, outcome, _ in self.seen.outcomes:
            if step == number:
                return at, outcome
        return None, "waiting"

    def over(self, number: int | None, what: str | None = None) -> list[Moment]:
        """The end of a step, if it has one."""
        at, outcome = self.outcome(number)
        if at is None or number is None:
            return []
        return [self.ends(number, at, outcome) if what is None else done(at, what, outcome)]

    def ends(self, number: int, at: float, outcome: str = "ok") -> Moment:
        """The end of a step, as it should be."""
        return done(at, self.tell_step(number), outcome, self._id(number))

    # -- the comparison

    def same(
        self,
        seen: Iterable[Moment],
        due: Iterable[Moment],
        *,
        says: str,
        whole: bool = False,
        more: Callable[[float], str] = lambda _: "",
    ) -> None:
        """Fail the criterion with the first difference of two stories, told in words.

        The drawn input shows the event concerned, or all (`whole`); `more` tells of the instant.
        """
        extra, missing = Counter(seen) - Counter(due), Counter(due) - Counter(seen)
        found = sorted({*extra, *missing})
        if not found:
            expect(True, expected=says, observed="")
            return
        observed = tell_difference(found[0], extra, missing) + more(found[0].at)
        given = self.given(set() if whole else {found[0].about}, until=found[0].at)
        expect(False, expected=says, observed=observed + self._end(), given=given)

    def _end(self) -> str:
        broke = f" A task of the bus had died of {self.seen.broke}." if self.seen.broke else ""
        return HANGS.get(self.seen.stuck, "") + broke

    def same_letters(self, due: Iterable[tuple[Any, ...]], *fields: str, says: str) -> None:
        """Compare the dead letters in these fields; their order is another matter."""
        seen = [[letter_field(letter, f) for f in fields] for letter in self.seen.letters]
        due = [list(values) for values in due]
        lost, odd = without(due, seen), without(seen, due)
        if not lost and not odd:
            expect(True, expected=says, observed="")
            return
        observed = "" if len(seen) == len(due) else f"Due: {len(due)}, there: {len(seen)}. "
        observed += tell_letters(fields, lost, odd)
        given = self.given({str((lost or odd)[0][0])})
        expect(False, expected=says, observed=observed + self._end(), given=given)

    # -- the drawn input, in words

    def given(self, about: set[str] = frozenset(), until: float = inf) -> str:
        """The scenario until an instant; only the lines on the events `about`, if there are any."""
        shown = {self._id(number) for number in range(len(self.steps))} & about
        steps = [
            number
            for number, step in enumerate(self.steps)
            if step["do"] != "nothing"
            and step["at"] <= until
            and (not shown or self._id(number) in {*shown, ""})
        ]
        told = {self._id(number) for number in steps} | {event["id"] for event, _ in self.left}
        lines = [self._tell_settings(), *(f"use {name}" for name in self.middleware)]
        for event, names in self.left:
            lines.append(f"in the journal: {event['id']}, settled: {', '.join(names) or 'none'}")
        lines += [self._tell_subscription(s) for s in self.subscriptions]
        works = {key: self._tell_work(key) for key in self.scripts if key[1] in told}
        alone = {event_id: work for (_, event_id), work in works.items()}
        if len(alone) < len(works) or not all(work.startswith("takes") for work in alone.values()):
            alone = {}  # several handlers, or more to tell than fits into the line of the event
        else:
            works = {}
        for number in steps:
            work = alone.pop(self._id(number), "")
            lines.append(f"at {self.steps[number]['at']:g} s: {self.tell_step(number)}")
            lines[-1] += f"; {work}" if work else ""
        lines += [f"{name} on {event_id}: {work}" for (name, event_id), work in works.items()]
        return "\n".join(lines)

    def _tell_work(self, key: tuple[str, str]) -> str:
        return "; then ".join(map(tell_script, self.scripts[key]))

    def _id(self, number: int) -> str:
        """The event of a step, if it has one."""
        event: dict[str, str] = self.steps[number]["with"].get("event", {})
        return event.get("id", "")

    def _tell_settings(self) -> str:
        text = f"Bus({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"
        pauses = [f"{n} -> {s:g} s" for n, s in enumerate(self.backoffs) if n]
        return text + (f", backoff: {', '.join(pauses)}" if pauses else "")

    def _tell_subscription(self, s: dict[str, Any]) -> str:
        text = f"subscribe {s['pattern']!r} -> {s['name']}"
        text += f", priority {s['priority']}" if s["priority"] else ""
        return text + (", with a filter" if s["filtered"] else "")

    def tell_step(self, number: int) -> str:
        """A step as the call that it is."""
        step = self.steps[number]
        options = dict(step["with"])
        args = []
        if event := options.pop("event", None):
            types = {other["pattern"] for other in self.subscriptions} - {event["type"]}
            extras = [f"{k} {event[k]}" for k in ("key", "priority") if event.get(k) is not None]
            args = [event["id"], *([event["type"]] if types else []), *extras]
        if options.pop("spoil", False):
            args.append("then change its payload")
        within = options.pop("within", None)
        args += [f"{k}={v!r}" for k, v in options.items()]
        text = f"{step['do']}({', '.join(args)})"
        return text if within is None else f"{text} inside asyncio.timeout({within:g})"


def play_all(
    candidate: Any, rng: random.Random, *builders: Callable[[random.Random], Play]
) -> dict[Any, Play]:
    """Draw a play with each builder and play them all in one process, one after another."""
    plays = {builder: builder(rng) for builder in builders}
    perform(candidate, *plays.values())
    return plays


def perform(candidate: Any, *plays: Play) -> None:
    """Play some plays in one process; if it breaks, each in its own, so that one costs no other."""
    try:
        _perform(candidate, plays)
    except CandidateError as error:
        if len(plays) == 1 or error.reason in (Reason.IMPORT, Reason.TIMEOUT):
            raise
        for play in plays:
            play.calls.clear()
            try:
                _perform(candidate, [play])
            except CandidateError as its_own:
                play.broke = its_own


def _perform(candidate: Any, plays: Sequence[Play]) -> None:
    inputs = [play.inputs() for play in plays]
    everything = candidate.observe(
        "play_all", world=fake(World(plays)), plays=inputs, returns=list[Seen]
    )
    for play, seen in zip(plays, everything, strict=False):  # a forged list may be short
        play.seen = seen


class World:
    """The judge's half of the puppets: says what to do, and writes down every call."""

    def __init__(self, plays: Sequence[Play]) -> None:
        self._plays = plays
        self._ticks = 0

    @exposed
    def begin(
        self, play: Index, kind: str, name: str, event: About, at: float
    ) -> tuple[int, list[list[Any]]]:
        call = Call(kind, name, event, at, self._tick())
        calls, scripts = self._play(play).calls, self._play(play).scripts
        earlier = sum(
            c.kind == call.kind and c.name == call.name and c.event.id == call.event.id
            for c in calls
        )
        calls.append(call)
        key = call.name if call.kind in ("handler", "journal") else f"{call.kind} {call.name}"
        script = scripts.get((key, call.event.id)) or [[]]
        return len(calls) - 1, script[min(earlier, len(script) - 1)]

    @exposed(one_way=True)
    def end(self, play: Index, number: Index, at: float, outcome: str) -> None:
        calls = self._play(play).calls
        if number >= len(calls):
            raise Refuse(f"there is no call {number}")
        call = calls[number]
        call.end, call.outcome, call.end_order = at, outcome, self._tick()

    @exposed
    def pending(self, play: Index) -> list[tuple[dict[str, Any], list[str]]]:
        """What was left by an earlier life, and what has been appended in this one."""
        now = self._play(play)
        appended = [
            (event, []) for c in now.of("journal") if c.name == "append" and (event := now.drawn(c))
        ]
        return [*now.left, *appended]

    def _play(self, number: int) -> Play:
        if number >= len(self._plays):
            raise Refuse(f"there is no play {number}")
        return self._plays[number]

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks


def without(some: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The first list less the second, each as often as it is there."""
    left = list(others)
    return [item for item in some if item not in left or left.remove(item)]


def journal(play: Play) -> list[Moment]:
    """The calls of the journal as moments."""
    return [written(c.start, c.name, c.event.id) for c in play.of("journal")]
