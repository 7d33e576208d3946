"""Many identities that come and never come back: what a limiter may still know of them."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from archprep.grading import expect

from .models import Policy
from .words import tell_policy

ROUNDS, SIZE = 14, 240


class Seen(msgspec.Struct):
    """What the probe returned."""

    allowed: list[list[Any]]
    used: list[int]  # blocks of memory, before each round and after the last


class Crowd:
    """Rounds of new identities that hit once each.

    Before each round, for three windows, only a passer-by hits now and then. A few regulars use up
    all they have, or all but one, when a round begins, and hit again when it ends: these must not
    be forgotten.
    """

    seen: Seen

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._limit, self._long = rng.randint(2, 4), rng.randint(100, 200)
        self._short = rng.randint(20, 30)
        self._names = iter(rng.sample(range(10**5, 10**6), ROUNDS * (SIZE + 20)))
        self.rounds: list[list[tuple[float, str]]] = []  # instant and identity
        self.due: list[list[bool]] = []
        for _ in range(ROUNDS):
            self._draw(self.rounds[-1][-1][0] if self.rounds else 0.0)

    def _draw(self, at: float) -> None:
        hits = [(at + n * self._long // 3, self._somebody()) for n in range(1, 10)]
        begin = at = hits[-1][0]
        regulars = {self._somebody(): self._rng.choice([0, 1]) for _ in range(3)}  # what is left
        for who, left in regulars.items():
            hits += [(at := at + 0.25, who) for _ in range(self._limit - left)]
        for _ in range(SIZE):
            at += self._rng.choice([0, 0.25])
            hits.append((at, self._somebody()))
        due = [True] * len(hits)
        at = max(at, begin + self._short + self._limit) + 1
        for who in self._rng.sample(list(regulars), 3):
            hits.append((at, who))
            due.append(regulars[who] > 0)
        self.rounds.append(hits)
        self.due.append(due)

    def _somebody(self) -> str:
        return f"user:{next(self._names)}"

    def inputs(self) -> dict[str, Any]:
        """What the probe is told."""
        clock = float(self._rng.randint(0, 10**6))
        return {"clock": clock, "policies": self._policies(), "rounds": self.rounds}

    def _policies(self) -> list[Policy]:
        return [Policy("long", self._limit, self._long), Policy("short", self._limit, self._short)]

    def tell(self) -> str:
        policies = "\n".join(map(tell_policy, self._policies()))
        return (
            f"MemoryWindow\n{policies}\n{ROUNDS} rounds: for {3 * self._long} s only a few hit, "
            f"then {SIZE} new identities hit once each"
        )

    def check_decisions(self) -> None:
        """Fail the criterion unless all is decided as if nothing was ever forgotten."""
        shape = [len(now) for now in self.seen.allowed]
        shapely = shape == [len(due) for due in self.due]
        expect(shapely, expected="a decision for each hit", observed=f"by round: {shape}")
        for hits, due, seen in zip(self.rounds, self.due, self.seen.allowed, strict=True):
            wrong = [number for number, said in enumerate(due) if seen[number] != said]
            expect(
                not wrong,
                expected="forgetting changes no decision",
                observed=_tell(hits[: wrong[0] + 1], seen[wrong[0]], due[wrong[0]])
                if wrong
                else "",
                given=self.tell(),
            )

    def check_memory(self) -> None:
        """Fail the criterion when more is kept than one round needs."""
        used = self.seen.used
        right = len(used) == ROUNDS + 1
        expect(right, expected=f"{ROUNDS + 1} measurements", observed=f"{len(used)}")
        one = max(0, used[1] - used[0])
        # The least of the later rounds: one may clean up only at every thousandth hit.
        kept = min(used[ROUNDS // 2 :]) - used[0]
        expect(
            kept <= 1.25 * one + 250,
            expected="nothing is left of an identity when its hits have left their windows: memory "
            "stays level while identities come and go",
            observed=f"blocks of memory in use, more than before the first round: {one:,} after "
            f"it, {used[ROUNDS // 2] - used[0]:,} after round {ROUNDS // 2}, "
            f"{used[-1] - used[0]:,} after round {ROUNDS}",
            given=self.tell(),
        )


def _tell(hits: list[tuple[float, str]], seen: Any, due: bool) -> str:
    """A wrong decision on the last of the hits."""
    at, who = hits[-1]
    earlier = [f"{then:g}" for then, other in hits[:-1] if other == who]
    told = f"it was admitted at {', '.join(earlier)} s" if earlier else "it had never hit before"
    return f"hit() of {who} at {at:g} s: allowed is {seen!r}, and must be {due}; {told}"
