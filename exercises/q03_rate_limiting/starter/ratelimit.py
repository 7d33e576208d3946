"""Write your rate limiters and their middleware here. Types and signatures are fixed.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from redis.asyncio import Redis
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `limit` units in `window_s` seconds."""

    name: str  # letters, digits, "-" and "_"; differs from the others of a call
    limit: int
    window_s: int  # seconds, at least 1; never changes for a name
    burst: int | None = None  # only TokenBucket: the size of the bucket; None: `limit`


@dataclass(frozen=True, slots=True)
class Decision:
    """What a limiter says to one hit. Both dicts have the names of all policies of the call."""

    allowed: bool
    remaining: dict[str, int]  # units left after this hit, never negative
    reset_s: dict[str, float]  # seconds: see README.md
    retry_after: int  # 0 when allowed, else whole seconds after which this hit would be admitted


class Clock(Protocol):
    """The time, in seconds."""

    def time(self) -> float:
        """Return the wall clock's time: it may be set back or forward."""

    def monotonic(self) -> float:
        """Return a time that never goes back. Its origin is arbitrary."""


class Limiter(Protocol):
    """What MemoryWindow, RedisWindow and TokenBucket are."""

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` units from every policy of this identity, or, if one lacks them, from none.

        `policies` is not empty; 1 <= cost, and cost never exceeds a limit (a bucket's size).
        """


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request, verified."""

    id: str
    tier: str = "default"


Identify = Callable[[Request], Awaitable[Principal | None]]
"""Verifies a request's credentials. Returns None for nobody known; never raises."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests are limited, and how."""

    path: str  # "/search": that path and everything below it; "/": every path
    policies: Mapping[str, Sequence[Policy]]  # by tier
    methods: frozenset[str] | None = None  # upper case; None: all
    cost: int = 1


class MemoryWindow:
    """A sliding window log in the memory of one process."""

    def __init__(self, *, clock: Clock) -> None:
        """Make a limiter whose instants are those of `clock`."""
        raise NotImplementedError("task 1: MemoryWindow.__init__() is yours to write")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""
        raise NotImplementedError("task 1: MemoryWindow.hit() is yours to write")


class RedisWindow:
    """The same window, shared by all processes that use the same Redis server."""

    def __init__(self, redis: Redis, *, prefix: str = "ratelimit") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        raise NotImplementedError("task 2: RedisWindow.__init__() is yours to write")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""
        raise NotImplementedError("task 2: RedisWindow.hit() is yours to write")


class RateLimitMiddleware:
    """A pure ASGI middleware that limits HTTP requests."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limiter: Limiter,
        identify: Identify,
        rules: Sequence[Rule],
        trusted_proxies: Sequence[str] = (),
        on_store_error: Literal["open", "closed"] = "open",
        store_timeout_s: float = 0.25,
    ) -> None:
        """Wrap `app`.

        rules: the first one that matches a request decides.
        trusted_proxies: addresses ("10.1.2.3", "::1") and networks ("10.0.0.0/8", "fd00::/8").
        on_store_error: what happens to a request when the limiter cannot decide (task 4).
        store_timeout_s: how many seconds the limiter has to decide.
        """
        raise NotImplementedError("task 3: RateLimitMiddleware.__init__() is yours to write")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        raise NotImplementedError("task 3: RateLimitMiddleware.__call__() is yours to write")


class TokenBucket:
    """A bucket of tokens for each identity and policy, refilled continuously, in Redis."""

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        raise NotImplementedError("task 4: TokenBucket.__init__() is yours to write")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` tokens from every policy's bucket if all of them have as many."""
        raise NotImplementedError("task 4: TokenBucket.hit() is yours to write")
