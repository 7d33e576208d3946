"""The brief's rules as the judge computes them: what each hit of one identity is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

NEAR = Fraction(1, 32)


class Policy(NamedTuple):
    """As in the starter."""

    name: str
    limit: int
    window_s: int
    burst: int | None = None

    @property
    def size(self) -> int:
        """Of its bucket."""
        return self.limit if self.burst is None else self.burst

    @property
    def memory_s(self) -> int:
        """How long a hit can matter: to a window or, at most, to its bucket."""
        return max(self.window_s, ceil(self.size / self.rate))

    @property
    def rate(self) -> Fraction:
        """Tokens per second."""
        return Fraction(self.limit, self.window_s)


class Due(NamedTuple):
    """The decision that is due."""

    allowed: bool
    remaining: dict[str, int]
    reset_s: dict[str, float]
    retry_after: int


class SlidingLog:
    """The admitted hits of one identity. All instants are multiples of 1/4: sums are exact."""

    def __init__(self) -> None:
        self._log: list[tuple[float, str, int]] = []  # instant, name of the policy, cost

    def hit(self, at: float, policies: Sequence[Policy], cost: int) -> Due:
        allowed = self._admits(at, policies, cost)
        retry_after = 0 if allowed else ceil(self.wait(at, policies, cost))
        if allowed:
            self._log += [(at, p.name, cost) for p in policies]
        remaining = {p.name: max(0, p.limit - self.used(at, p)) for p in policies}
        reset_s = {p.name: self._reset(at, p) for p in policies}
        return Due(allowed, remaining, reset_s, retry_after)

    def used(self, at: float, policy: Policy) -> int:
        return sum(cost for _, cost in self.counting(at, policy))

    def counting(self, at: float, policy: Policy) -> list[tuple[float, int]]:
        """The hits in (at - window_s, at], the oldest first: instant and cost."""
        return [
            (then, cost)
            for then, name, cost in self._log
            if name == policy.name and at - policy.window_s < then <= at
        ]

    def wait(self, at: float, policies: Sequence[Policy], cost: int) -> float:
        """The seconds until the same hit would be admitted: room is made when a hit leaves."""
        leaves = {t + p.window_s for p in policies for t, _ in self.counting(at, p)}
        instants = sorted({at, *leaves})
        return next(then - at for then in instants if self._admits(then, policies, cost))

    def on_edge(self, at: float, policies: Sequence[Policy]) -> bool:
        """Whether a hit is exactly one of the windows old."""
        edges = {(at - p.window_s, p.name) for p in policies}
        return any((then, name) in edges for then, name, _ in self._log)

    def tell(self, at: float, policy: Policy) -> str:
        """What is used of a policy."""
        used, counting = self.used(at, policy), self.counting(at, policy)
        times = Counter(f"{t:g}" + (f" (cost {c})" if c > 1 else "") for t, c in counting)
        said = ", ".join(f"{hit}" + (f" ({n} times)" if n > 1 else "") for hit, n in times.items())
        by = f", by the {'hits' if len(counting) > 1 else 'hit'} at {said} s" if counting else ""
        return f"{used} of {policy.limit} used{by}"

    def _admits(self, at: float, policies: Sequence[Policy], cost: int) -> bool:
        return all(self.used(at, p) + cost <= p.limit for p in policies)

    def _reset(self, at: float, policy: Policy) -> float:
        counting = self.counting(at, policy)
        return counting[0][0] + policy.window_s - at if counting else 0.0


class Buckets:
    """The buckets of one identity, in exact fractions."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, Fraction]] = {}  # instant, tokens at that instant
        self._exact: dict[str, bool] = {}  # whether no arithmetic could have rounded it

    def hit(self, at: float, policies: Sequence[Policy], cost: int) -> Due:
        levels = {p.name: self.level(at, p) for p in policies}
        allowed = min(levels.values()) >= cost
        retry_after = 0 if allowed else ceil(self.wait(at, policies, cost))
        for p in policies:
            self._exact[p.name] = self._is_exact(at, p)
            levels[p.name] -= cost if allowed else 0
            self._left[p.name] = (at, levels[p.name])
        remaining = {name: floor(level) for name, level in levels.items()}
        reset_s = {p.name: float((p.size - levels[p.name]) / p.rate) for p in policies}
        return Due(allowed, remaining, reset_s, retry_after)

    def level(self, at: float, policy: Policy) -> Fraction:
        """The tokens at an instant: full at first, refilled steadily, never more than full."""
        return min(Fraction(policy.size), self._poured(at, policy))

    def wait(self, at: float, policies: Sequence[Policy], cost: int) -> Fraction | int:
        """The seconds until the same hit would be admitted."""
        return max(0, *((cost - self.level(at, p)) / p.rate for p in policies))

    def tell(self, at: float, policy: Policy) -> str:
        """What is in a bucket."""
        return f"{float(self.level(at, policy)):g} of {policy.size} tokens"

    def fair(self, at: float, policies: Sequence[Policy], cost: int) -> bool:
        """Whether the last bit of somebody's arithmetic cannot change the decision."""
        rounded = [p for p in policies if not self._is_exact(at, p)]
        if any(_is_near_whole(self._poured(at, p)) for p in rounded):
            return False
        wait = self.wait(at, policies, cost)
        return not rounded or not wait or not _is_near_whole(wait)

    def _poured(self, at: float, policy: Policy) -> Fraction:
        """The tokens if the bucket could not overflow."""
        then, tokens = self._left.get(policy.name, (at, Fraction(policy.size)))
        return tokens + Fraction(at - then) * policy.rate

    def _is_exact(self, at: float, policy: Policy) -> bool:
        """Whether it overflows, or nothing but whole tokens has left it since it did."""
        then, _ = self._left.get(policy.name, (at, 0))
        overflows = self._poured(at, policy) > policy.size + NEAR
        return overflows or (then == at and self._exact.get(policy.name, True))


def _is_near_whole(value: Fraction | int) -> bool:
    return abs(value - round(value)) < NEAR
