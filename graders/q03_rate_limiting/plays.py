"""Plans of hits on a limiter: drawn with a model beside them, played, compared, told in words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from archprep.errors import CandidateError
from archprep.grading import expect
from archprep.model import Reason

from .models import Buckets, Due, Policy, SlidingLog
from .words import tell_fault, tell_hits, tell_jump, tell_policy

NAMES = "minute hour burst daily search export upload login steady short long peak".split()
PEOPLE = "ada alan barbara dennis edsger grace john ken leslie linus margaret niklaus tony".split()
TOLERANCE = 1e-3  # seconds, of reset_s
SECONDS = 8.0  # for all plays of a process: Redis from Python, in several steps, takes half of one


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
    by: int  # which of two limiters


@dataclass
class Play:
    """A plan for one limiter, and then what it decided."""

    rng: random.Random
    limiter: str
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
        ident = same.ident if same else self._idents.pop()
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
        clock = "clock" if self.limiter == "MemoryWindow" else "server"
        return {
            "limiter": self.limiter,
            clock: getattr(self, clock),
            "policies": policies,
            "hits": [
                [h.at, self._wall(h.at), h.by, h.ident, [*map(policies.index, h.policies)], h.cost]
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

    def same(self, *fields: str, says: str) -> None:
        """Fail the criterion with the first decision that is not due, compared in `fields`."""
        for hit, decision in self.decisions():
            fault = self._fault(hit, decision, fields or Due._fields)
            observed = f"hit() of {hit.ident} at {hit.at:g} s: {fault}" if fault else ""
            expect(not fault, expected=says, observed=observed, given=fault and self.given(hit))

    def _fault(self, hit: Hit, decision: Any, fields: Sequence[str]) -> str:
        """What is wrong about a decision, in words."""
        if not isinstance(decision, list) or len(decision) != len(Due._fields):
            return f"it returned {decision}, which is no Decision"
        for name, seen, due in zip(Due._fields, decision, hit.due, strict=True):
            if name in fields and not _is_same(seen, due):
                return tell_fault(hit, name, seen, due)
        return ""

    def given(self, last: Hit) -> str:
        """What had happened to this identity when it made its last hit."""
        hits = [hit for hit in self.hits if hit.ident == last.ident]
        lines = tell_hits(hits[: hits.index(last) + 1])
        lines += [f"the wall clock {tell_jump(*j)}" for j in self.jumps if j[0] <= last.at]
        others = {hit.ident for hit in self.hits if hit.at <= last.at} - {last.ident}
        lines += [f"meanwhile others hit, too: {', '.join(sorted(others))}"] if others else []
        return "\n".join([f"{self.limiter}; all hits are those of {last.ident}", *lines])

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
        self.model = Buckets() if self.play.limiter == "TokenBucket" else SlidingLog()

    def hit(self, *policies: Policy, after: float = 0.0, cost: int = 1) -> Due:
        """Hit some seconds after the last hit."""
        self.now = at = self.now + after
        before = {p.name: self.model.tell(at, p) for p in policies}
        wait = float(self.model.wait(at, policies, cost))
        due = self.model.hit(at, policies, cost)
        by = self.play.rng.randrange(2)
        self.hits.append(Hit(at, self.ident, policies, cost, due, before, wait, by))
        return due

    def rest(self, *policies: Policy) -> None:
        """Wait until nothing counts, not even denied hits with one who counts them."""
        longest = max(p.window_s for p in policies)
        self.now += longest + self.some(1, longest)

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
    everything = candidate.observe(
        "play_all", plays=inputs, returns=list[Any], seconds=SECONDS, given=given
    )
    for play, seen in zip(plays, everything, strict=False):  # a forged list may be short
        play.seen = seen


def _is_same(seen: Any, due: Any) -> bool:
    """Whether a field of a decision is as due: exactly, but for the last bit of seconds."""
    if isinstance(due, dict):
        return (
            isinstance(seen, dict)
            and seen.keys() == due.keys()
            and all(_is_same(seen[name], due[name]) for name in due)
        )
    if isinstance(due, float):
        return type(seen) in (int, float) and abs(seen - due) <= TOLERANCE
    if isinstance(due, bool):
        return bool(seen == due)  # Redis has no booleans: 1 will do
    return type(seen) is int and seen == due
