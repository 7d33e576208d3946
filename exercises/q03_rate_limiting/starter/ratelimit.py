"""Write your rate limiters and their middleware here. Types and signatures are fixed.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from redis.asyncio import Redis
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `limit` units in `window_s` seconds."""

    name: str  # letters, digits, "-" and "_"
    limit: int
    window_s: int  # seconds, at least 1
    burst: int | None = None  # only for TokenBucket: the size of the bucket; None: `limit`


@dataclass(frozen=True, slots=True)
class Decision:
    """A limiter's answer to one hit. Both dicts have the names of all policies of the call."""

    allowed: bool
    remaining: dict[str, int]
    reset_s: dict[str, float]
    retry_after: int


class Limiter(Protocol):
    """What MemoryWindow, RedisWindow and TokenBucket have in common."""

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` units from every policy of this identity, or from none."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified sender of a request."""

    id: str
    tier: str = "default"


Identify = Callable[[Scope], Awaitable[Principal | None]]
"""Verifies the credentials in a request's scope. Never raises."""


class MemoryWindow:
    """A sliding window in the memory of one process."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """Create a limiter whose time is `clock()`, in seconds from an arbitrary origin."""
        raise NotImplementedError("task 1: write MemoryWindow.__init__()")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window."""
        raise NotImplementedError("task 1: write MemoryWindow.hit()")


class RedisWindow:
    """The same window, shared by all processes that use the same Redis database and prefix."""

    def __init__(self, redis: Redis, *, prefix: str = "ratelimit") -> None:
        """Create a limiter whose keys begin with `prefix` and ":"."""
        raise NotImplementedError("task 1: write RedisWindow.__init__()")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window."""
        raise NotImplementedError("task 1: write RedisWindow.hit()")


class RateLimitMiddleware:
    """A pure ASGI middleware that limits HTTP requests."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limiter: Limiter,
        identify: Identify,
        tiers: Mapping[str, Sequence[Policy]],
        on_store_error: Literal["open", "closed"] = "open",
        store_timeout_s: float = 0.25,
    ) -> None:
        """Wrap `app`.

        tiers: the policies of each tier. Until task 4, everyone has tier "default".
        on_store_error: what happens to a request without a decision (task 4).
        store_timeout_s: how many seconds the limiter has to decide (task 4).
        """
        raise NotImplementedError("task 2: write RateLimitMiddleware.__init__()")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        raise NotImplementedError("task 2: write RateLimitMiddleware.__call__()")


class TokenBucket:
    """A bucket of tokens in Redis for each identity and policy, refilled continuously."""

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        """Create a limiter whose keys begin with `prefix` and ":"."""
        raise NotImplementedError("task 3: write TokenBucket.__init__()")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` tokens from every policy's bucket if each of them has enough."""
        raise NotImplementedError("task 3: write TokenBucket.hit()")
