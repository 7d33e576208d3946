"""Plans of hits on a limiter: drawn with a model beside them, played, compared, told in words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import expect

from .models import Buckets, Due, Policy, SlidingLog
from .words import OF_BUCKET, OF_WINDOW, is_same, tell_fault, tell_hits, tell_jump, tell_policy

NAMES = "api bulk export feed login mail media orders report search upload write".split()
PEOPLE = "ada alan barbara dennis edsger grace john ken leslie linus margaret niklaus tony".split()
MEMORY, REDIS, BUCKET = "MemoryWindow", "RedisWindow", "TokenBucket"
REDIS_SECONDS = 8.0  # for all plays of a process: several steps for each hit take half a second


@dataclass(frozen=True, eq=False)
class Hit:
    """A call of hit(), what is due for it and why."""

    at: float
    ident: str
    policies: Sequence[Policy]
    cost: int
    due: Due
    before: dict[str, str]  # by policy: what was used, in words
    wait: float  # exactly, until the hit would be admitted; 0 when it is


@dataclass
class Play:
    """A plan for one limiter, and then what it decided."""

    rng: random.Random
    limiter: str
    limiters: int = 1  # of those that share a server, asked in turn
    callers: list[Caller] = field(default_factory=list)
    jumps: list[tuple[float, float]] = field(default_factory=list)  # of the wall clock: when, by
    seen: list[Any] = field(default_factory=list)
    broke: CandidateError | None = None

    def __post_init__(self) -> None:
        rng = self.rng
        self._names = rng.sample(NAMES, len(NAMES))
        self._idents = [f"user:{name}" for name in PEOPLE]
        self._idents += [f"ip:192.0.2.{rng.randint(1, 254)}"]
        rng.shuffle(self._idents)
        # Any origin; and a server of 2004, when a quarter of a second was exact in time_machine.
        self.clock = float(rng.choice([0, rng.randint(1, 10**5), rng.randint(10**5, 10**7)]))
        self.server = 1_090_000_000.0 + rng.randint(0, 4 * 10**7) / 4
        self.wall = self.server + 6e8

    # -- drawing

    def policy(self, limit: int, window_s: int, burst: int | None = None) -> Policy:
        """A policy with a name of its own."""
        return Policy(self._names.pop(), limit, window_s, burst)

    def caller(self, *, same: Caller | None = None, step: float = 0.25) -> Caller:
        """An identity of its own (or the same), some seconds after the start."""
        return self._caller(same.ident if same else self._idents.pop(), step)

    def twins(self) -> list[Caller]:
        """Identities that differ in a letter's case or accent only."""
        ident = self._idents.pop(0)
        alike = [ident, ident.title(), f"{ident}é", f"{ident}è"]
        return [self._caller(twin, 0.25) for twin in self.rng.sample(alike, len(alike))]

    def _caller(self, ident: str, step: float) -> Caller:
        self.callers.append(Caller(self, ident, quarters(self.rng, 0, 10), step))
        return self.callers[-1]

    @property
    def hits(self) -> list[Hit]:
        """All hits in order of time."""
        return sorted((hit for c in self.callers for hit in c.hits), key=lambda hit: hit.at)

    # -- playing

    def inputs(self) -> dict[str, Any]:
        """What the probe is told."""
        hits = self.hits
        policies = list(dict.fromkeys(p for hit in hits for p in hit.policies))
        place = {"server": self.server, "limiters": self.limiters}
        if self.limiter == MEMORY:
            place = {"clock": self.clock}
        return {
            "limiter": self.limiter,
            **place,
            "policies": policies,
            "hits": [
                [h.at, self._wall(h.at), h.ident, [*map(policies.index, h.policies)], h.cost]
                for h in hits
            ],
        }

    def _wall(self, at: float) -> float:
        return self.wall + at + sum(by for when, by in self.jumps if when <= at)

    # -- judging

    def decisions(self) -> list[tuple[Hit, list[Any]]]:
        """Each hit with what was decided; what broke instead is raised."""
        if self.broke:
            raise self.broke
        hits = self.hits
        seen = self.seen if isinstance(self.seen, list) else []
        expect(
            len(seen) == len(hits),
            expected=f"a decision for each of {len(hits)} hits",
            observed=f"{len(seen)} decisions",
        )
        return list(zip(hits, seen, strict=True))

    def same(self, says: str | None = None, *, only: str | None = None) -> None:
        """Fail the criterion with the first decision that is not due; `only` one field counts.

        `says` states the behaviour; without it, the rule of the field that differs does.
        """
        for hit, decision in self.decisions():
            if not isinstance(decision, list) or len(decision) != len(Due._fields):
                self._expect(False, "hit() returns a Decision", hit, f"it returned {decision}")
            for name, seen, due in zip(Due._fields, decision, hit.due, strict=True):
                same = only not in (name, None) or is_same(seen, due)
                fault = "" if same else tell_fault(hit, name, seen, due)
                self._expect(same, says or self._rules[name], hit, fault)

    def _expect(self, condition: bool, says: str, hit: Hit, fault: str) -> None:
        given = None if condition else self.given(hit)
        observed = f"hit() of {hit.ident} at {hit.at:g} s: {fault}"
        expect(condition, expected=says, observed=observed, given=given)

    @property
    def _rules(self) -> dict[str, str]:
        return OF_BUCKET if self.limiter == BUCKET else OF_WINDOW

    def given(self, last: Hit) -> str:
        """What had happened to this identity when it made its last hit."""
        hits = [hit for hit in self.hits if hit.ident == last.ident]
        lines = tell_hits(self.limiter, hits[: hits.index(last) + 1])
        lines += [f"the wall clock {tell_jump(*j)}" for j in self.jumps if j[0] <= last.at]
        others = {hit.ident for hit in self.hits if hit.at <= last.at} - {last.ident}
        lines += [f"meanwhile others hit, too: {', '.join(sorted(others))}"] if others else []
        return "\n".join(lines)

    def tell(self) -> str:
        """The plan as a whole."""
        policies = dict.fromkeys(p for hit in self.hits for p in hit.policies)
        idents = sorted({hit.ident for hit in self.hits})
        told = "; ".join(map(tell_policy, policies))
        return f"{self.limiter}, {len(self.hits)} hits of {', '.join(idents)}\n{told}"


@dataclass
class Caller:
    """The hits of one identity in order of time; each is decided while the plan is drawn."""

    play: Play
    ident: str
    now: float
    step: float = 0.25  # what lies between two hits is a multiple of it
    hits: list[Hit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Buckets() if self.play.limiter == BUCKET else SlidingLog()

    def hit(self, *policies: Policy, after: float = 0.0, cost: int = 1) -> Due:
        """Hit some seconds after the last hit."""
        self.now = at = self.now + after
        before = {p.name: self.model.tell(at, p) for p in policies}
        wait = float(self.model.wait(at, policies, cost))
        due = self.model.hit(at, policies, cost)
        self.hits.append(Hit(at, self.ident, policies, cost, due, before, wait))
        return due

    def rest(self, *policies: Policy) -> None:
        """Wait until nothing counts, not even denied hits with one who counts them."""
        longest = max(p.window_s for p in policies)
        self.now += longest + self.some(1, longest)

    def off_edge(self, after: float, *policies: Policy) -> float:
        """So many seconds or a little more, so that no hit is exactly a window old then.

        Whether the edge belongs to the window is a criterion of its own.
        """
        while self.model.on_edge(self.now + after, policies):
            after += self.step
        return after

    def some(self, low: float, high: float) -> float:
        """Some seconds."""
        return self.play.rng.randint(int(low / self.step), int(high / self.step)) * self.step


def quarters(rng: random.Random, low: float, high: float) -> float:
    """A multiple of 0.25, so that sums of instants are exact."""
    return rng.randint(int(low * 4), int(high * 4)) / 4


def perform(candidate: Any, plays: Sequence[Play]) -> None:
    """Play some plays in one process; if it breaks, each in its own, so that one costs no other."""
    try:
        _perform(candidate, plays)
    except CandidateError as error:
        if len(plays) == 1 or error.reason in (Reason.IMPORT, Reason.TIMEOUT):
            raise
        for play in plays:
            try:
                _perform(candidate, [play])
            except CandidateError as its_own:
                play.broke = its_own


def play_all(
    candidate: Any, rng: random.Random, *builders: Callable[[random.Random], Play]
) -> dict[Any, Play]:
    """Draw a play with each builder and play them all in one process, one after another."""
    plays = {builder: builder(rng) for builder in builders}
    perform(candidate, list(plays.values()))
    return plays


def _perform(candidate: Any, plays: Sequence[Play]) -> None:
    inputs = [play.inputs() for play in plays]
    given = "\n".join(play.tell() for play in plays) if len(plays) == 1 else None
    seconds = None if plays[0].limiter == MEMORY else REDIS_SECONDS
    everything = candidate.observe(
        "play_all", plays=inputs, returns=list[Any], seconds=seconds, given=given
    )
    for play, seen in zip(plays, everything, strict=False):  # a forged list may be short
        play.seen = seen
