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
from typing import Any

import msgspec

from archprep.errors import CandidateError
from archprep.grading import expect, fake
from archprep.model import Reason

from .words import Moment, done, start, tell_difference, tell_letter, tell_script, written

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

HANGS = {
    "waits": " In the end the scenario hung: nothing was left that could ever run.",
    "spins": " In the end the scenario hung: the loop turned thousands of times in one instant, "
    "as it does when something waits with sleep(0).",
}


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

    outcomes: list[tuple[int, float, str, str]] = []
    letters: list[Letter] = []
    dropped: int = -1
    broke: str = ""  # what a task of the bus died of
    stuck: str = ""  # "waits" for ever, or "spins" within one instant


@dataclass(slots=True)
class Call:
    """A call of a handler, a filter, a middleware or the journal. `order` counts on."""

    kind: str
    name: str
    event: About
    start: float
    order: int
    end: float | None = None
    outcome: str = "running"
    end_order: int = -1


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
    left: list[tuple[dict[str, Any], list[str]]] = field(
        default_factory=list
    )  # in the journal at start
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
        about = self.steps[number]["with"].get("event", {}).get("id", "")
        return done(at, self.tell_step(number), outcome, about)

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
        """Compare the dead letters in these fields, in any order within one instant."""
        seen = [tuple(letter_field(letter, f) for f in fields) for letter in self.seen.letters]
        due = list(due)
        missing, extra = (
            Counter(map(repr, due)) - Counter(map(repr, seen)),
            Counter(map(repr, seen)) - Counter(map(repr, due)),
        )
        if not missing and not extra:
            expect(True, expected=says, observed="")
            return
        lost = [d for d in due if repr(d) in missing]
        odd = [s for s in seen if repr(s) in extra]
        observed = "" if len(seen) == len(due) else f"Due: {len(due)}, there: {len(seen)}. "
        observed += f"Missing: {tell_letter(fields, lost[0])}. " if lost else ""
        observed += (
            f"{'Instead' if lost else 'Not due'}: {tell_letter(fields, odd[0])}." if odd else ""
        )
        about = {str((lost or odd)[0][0])}
        expect(False, expected=says, observed=observed, given=self.given(about))

    # -- the drawn input, in words

    def given(self, about: set[str] = frozenset(), until: float = inf) -> str:
        """The scenario until an instant; only the lines on the events `about`, if there are any."""
        shown = {s["with"]["event"]["id"] for s in self.steps if "event" in s["with"]} & about
        lines = [f"Bus({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"]
        if self.backoffs:
            lines[0] += ", backoff: " + ", ".join(
                f"{n} -> {s:g} s" for n, s in enumerate(self.backoffs) if n
            )
        lines += [f"use {name}" for name in self.middleware]
        lines += [
            f"in the journal at start: {event['id']}, settled: {', '.join(names) or 'none'}"
            for event, names in self.left
        ]
        lines += [self._tell_subscription(s) for s in self.subscriptions]
        alone = len(self.subscriptions) == 1 and not self.middleware and not self.journal
        told = {event["id"] for event, _ in self.left}
        for number, step in enumerate(self.steps):
            event = step["with"].get("event")
            if (
                step["do"] == "nothing"
                or step["at"] > until
                or (shown and event and event["id"] not in shown)
            ):
                continue
            lines.append(f"at {step['at']:g} s: {self.tell_step(number)}")
            if (
                event
                and alone
                and event["id"] not in told
                and (work := self._tell_work(event["id"]))
            ):
                lines[-1] += f"; {work}"
            told |= {event["id"]} if event else set()
        works = [] if alone else [key for key in self.scripts if key[1] in (shown or told) & told]
        lines += [
            f"{name} on {event_id}: {self._tell_work(event_id, name)}" for name, event_id in works
        ]
        return "\n".join(lines)

    def _tell_work(self, event_id: str, name: str | None = None) -> str:
        attempts = self.scripts.get((name or self.subscriptions[0]["name"], event_id), [])
        return "; then ".join(map(tell_script, attempts))

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

    def begin(
        self, play: int, kind: str, name: str, event: Any, at: Any
    ) -> tuple[int, list[list[Any]]]:
        call = Call(str(kind), str(name), msgspec.convert(event, About), float(at), self._tick())
        calls, scripts = self._plays[play].calls, self._plays[play].scripts
        earlier = sum(
            c.kind == call.kind and c.name == call.name and c.event.id == call.event.id
            for c in calls
        )
        calls.append(call)
        key = call.name if call.kind in ("handler", "journal") else f"{call.kind} {call.name}"
        script = scripts.get((key, call.event.id)) or [[]]
        return len(calls) - 1, script[min(earlier, len(script) - 1)]

    def end(self, play: int, number: int, at: Any, outcome: Any) -> None:
        call = self._plays[play].calls[number]
        call.end, call.outcome, call.end_order = float(at), str(outcome), self._tick()

    def pending(self, play: int) -> list[tuple[dict[str, Any], list[str]]]:
        """What was left by an earlier life, and what has been appended in this one."""
        now = self._plays[play]
        appended = [
            (event, []) for c in now.of("journal") if c.name == "append" and (event := now.drawn(c))
        ]
        return [*now.left, *appended]

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks


def letter_field(letter: Letter, name: str) -> Any:
    return getattr(
        letter.event if name in ("id", "type", "payload", "key", "priority") else letter, name
    )


def journal(play: Play) -> list[Moment]:
    """The calls of the journal as moments."""
    return [written(c.start, c.name, c.event.id) for c in play.of("journal")]
