"""Write your rate limiters and their middleware here. Types and signatures are fixed.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

from redis.asyncio import Redis
from redis.exceptions import WatchError
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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


SECOND = 1_000_000  # instants are whole microseconds: sums of them are exact

Entry = tuple[str, int, int]
"""A policy's name, the instant at which the hit leaves its window, and what the hit cost."""


def whole_seconds(duration: int) -> int:
    """Round microseconds up to whole seconds, at least one."""
    return max(1, -(-duration // SECOND))


def decide_window(
    entries: Iterable[Entry], now: int, policies: Sequence[Policy], cost: int
) -> tuple[Decision, list[Entry]]:
    """Decide a hit, given an identity's entries. Also return those that count afterwards."""
    kept = [entry for entry in entries if entry[1] > now]
    logs: dict[str, list[tuple[int, int]]] = {policy.name: [] for policy in policies}
    for name, leaves, units in kept:
        if name in logs:
            logs[name].append((leaves, units))
    wait = 0
    for policy in policies:
        log = logs[policy.name]
        log.sort()
        missing = sum(units for _, units in log) + cost - policy.limit
        for leaves, units in log:
            if missing <= 0:
                break
            missing -= units
            wait = max(wait, leaves - now)
    if not wait:
        for policy in policies:
            leaves = now + policy.window_s * SECOND
            kept.append((policy.name, leaves, cost))
            logs[policy.name].append((leaves, cost))
    remaining, reset_s = {}, {}
    for policy in policies:
        log = logs[policy.name]
        remaining[policy.name] = max(0, policy.limit - sum(units for _, units in log))
        reset_s[policy.name] = (min(log)[0] - now) / SECOND if log else 0.0
    retry_after = whole_seconds(wait) if wait else 0
    return Decision(not wait, remaining, reset_s, retry_after), kept


class MemoryWindow:
    """A sliding window log in the memory of one process."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """Make a limiter whose instants are those of `clock`."""
        self._clock = clock
        self._entries: dict[str, list[Entry]] = {}
        self._ends: list[tuple[int, str]] = []  # a heap with one item for each identity

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""
        now = round(self._clock() * SECOND)  # no await below: nothing comes in between
        self._forget(now)
        known = self._entries.get(ident)
        decision, kept = decide_window(known or (), now, policies, cost)
        if kept:
            self._entries[ident] = kept
            if known is None:
                heapq.heappush(self._ends, (max(leaves for _, leaves, _ in kept), ident))
        return decision

    def _forget(self, now: int) -> None:
        """Drop the identities whose last hit has left its windows."""
        while self._ends and self._ends[0][0] <= now:
            ident = self._ends[0][1]
            end = max(leaves for _, leaves, _ in self._entries[ident])
            if end > now:  # it has hit again since
                heapq.heapreplace(self._ends, (end, ident))
            else:
                heapq.heappop(self._ends)
                del self._entries[ident]


class OptimisticStore:
    """One JSON value for each identity, changed by optimistic transactions."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Keep the values under `prefix`, which has the last ":" but one of each key."""
        self._redis = redis
        self._prefix = prefix
        # Hits of this process on one identity take turns, so that only processes compete.
        self._turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    async def change(
        self, ident: str, decide: Callable[[Any, int], tuple[Decision, Any, int]]
    ) -> Decision:
        """Read the value and the server's time, decide, and store what became of the value.

        decide: gets the value or None, and the instant. Returns the decision, the new value, and
            the instant at which it may be forgotten. The value of a denied hit is not stored.
        """
        key = self._prefix + ":" + quote(ident, safe="", errors="surrogatepass")
        turn = self._turns.setdefault((id(asyncio.get_running_loop()), ident), asyncio.Lock())
        async with turn:
            attempt = 0
            while True:
                try:
                    return await self._try(key, decide)
                except WatchError as error:
                    if "occurred while watching" in str(error):
                        raise  # the connection broke: the hit may count or not, so ask no more
                attempt += 1
                await asyncio.sleep(random.uniform(0, min(0.02, 0.0005 * attempt)))

    async def _try(
        self, key: str, decide: Callable[[Any, int], tuple[Decision, Any, int]]
    ) -> Decision:
        """Make one attempt. Raise WatchError if somebody changed the value meanwhile."""
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            stored = await pipe.get(key)
            seconds, micros = await pipe.time()
            now = int(seconds) * SECOND + int(micros)
            decision, value, end = decide(None if stored is None else json.loads(stored), now)
            pipe.multi()
            if decision.allowed:
                lifetime_ms = -(-(end - now) // 1000) + 50  # EXEC's clock may be a bit ahead
                pipe.set(key, json.dumps(value, separators=(",", ":")), px=lifetime_ms)
            else:
                pipe.exists(key)  # changes nothing, but EXEC says whether the value was current
            await pipe.execute()
            return decision


class RedisWindow:
    """The same window, shared by all processes that use the same Redis server."""

    def __init__(self, redis: Redis, *, prefix: str = "ratelimit") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        self._store = OptimisticStore(redis, prefix + ":window")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""

        def decide(value: Any, now: int) -> tuple[Decision, Any, int]:
            decision, kept = decide_window(value or (), now, policies, cost)
            return decision, kept, max((leaves for _, leaves, _ in kept), default=now)

        return await self._store.change(ident, decide)


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
        self._app = app
        self._limiter = limiter
        self._identify = identify
        self._tiers = tiers
        self._on_store_error = on_store_error
        self._store_timeout_s = store_timeout_s
        self._unfinished: set[asyncio.Future[Decision]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            return await self._app(scope, receive, send)
        principal = await self._identify(scope)
        policies = self._tiers.get(principal.tier) if principal else None
        if policies is None:
            policies = self._tiers.get("default")
        if not policies:
            return await self._app(scope, receive, send)

        client = scope["client"]
        address = f"ip:{client[0]}" if client else "ip:unknown"
        ident = f"user:{principal.id}" if principal else address
        decision = await self._ask(ident, policies)
        if decision is None and self._on_store_error == "open":
            return await self._app(scope, receive, send)
        if decision is None:
            problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
            return await answer(send, 503, [(b"retry-after", b"1")], problem)

        fields = rate_limit_fields(policies, decision)
        if not decision.allowed:
            remaining = decision.remaining
            problem = {
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Quota exceeded",
                "status": 429,
                "violated-policies": [p.name for p in policies if remaining[p.name] < 1],
            }
            retry_after = (b"retry-after", b"%d" % decision.retry_after)
            return await answer(send, 429, [retry_after, *fields], problem)

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [h for h in message.get("headers", ()) if h[0].lower() not in dict(fields)]
                message = {**message, "headers": [*others, *fields]}
            await send(message)

        await self._app(scope, receive, send_with_fields)

    async def _ask(self, ident: str, policies: Sequence[Policy]) -> Decision | None:
        """Hit the limiter once. Return None if it fails, or does not decide in time."""

        async def hit() -> Decision:
            return await self._limiter.hit(ident, policies)

        task = asyncio.ensure_future(hit())
        try:
            await asyncio.wait({task}, timeout=self._store_timeout_s)
        finally:
            if not task.done():
                # Nobody waits for it to end: it may hang in its clean-up, or refuse to.
                task.cancel()
                self._unfinished.add(task)
                task.add_done_callback(self._finish)
        if not task.done() or task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, Exception):
            return None
        raise error

    def _finish(self, task: asyncio.Future[Decision]) -> None:
        """Let go of a hit that ended too late, whatever came of it."""
        self._unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not complain that nobody did


def rate_limit_fields(policies: Sequence[Policy], decision: Decision) -> list[tuple[bytes, bytes]]:
    """Return the two header fields."""
    quotas = (f'"{p.name}";q={p.limit};w={p.window_s}' for p in policies)
    states = (
        f'"{p.name}";r={decision.remaining[p.name]};t={math.ceil(decision.reset_s[p.name])}'
        for p in policies
    )
    return [
        (b"ratelimit-policy", ", ".join(quotas).encode()),
        (b"ratelimit", ", ".join(states).encode()),
    ]


async def answer(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], problem: dict[str, Any]
) -> None:
    """Send a problem document."""
    body = json.dumps(problem).encode()
    length = (b"content-length", b"%d" % len(body))
    kind = (b"content-type", b"application/problem+json")
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, kind, length]}
    )
    await send({"type": "http.response.body", "body": body})


class TokenBucket:
    """A bucket of tokens for each identity and policy, refilled continuously, in Redis."""

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        self._store = OptimisticStore(redis, prefix + ":bucket")

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` tokens from every policy's bucket if all of them have as many."""

        def decide(value: Any, now: int) -> tuple[Decision, Any, int]:
            return decide_bucket(value or {}, now, policies, cost)

        return await self._store.change(ident, decide)


Bucket = tuple[int, int, int]
"""A level, the instant at which it was so, and the instant from which the bucket is full.

Levels are integers: a token is as many parts as its policy's window has microseconds, so that
`limit` parts come in every microsecond.
"""


def decide_bucket(
    buckets: Mapping[str, Bucket], now: int, policies: Sequence[Policy], cost: int
) -> tuple[Decision, dict[str, Bucket], int]:
    """Decide a hit, given an identity's buckets. Also return those that are not full afterwards."""
    kept = {name: bucket for name, bucket in buckets.items() if bucket[2] > now}
    levels = {}
    wait = 0
    for policy in policies:
        token = policy.window_s * SECOND
        size = policy.limit if policy.burst is None else policy.burst
        level = size * token
        if policy.name in kept:
            before, at, _ = kept[policy.name]
            level = min(level, before + max(0, now - at) * policy.limit)
        levels[policy.name] = level
        if level < cost * token:
            wait = max(wait, -(-(cost * token - level) // policy.limit))
    remaining, reset_s = {}, {}
    for policy in policies:
        token = policy.window_s * SECOND
        size = policy.limit if policy.burst is None else policy.burst
        level = levels[policy.name] - (0 if wait else cost * token)
        lacking = size * token - level
        remaining[policy.name] = level // token
        reset_s[policy.name] = lacking / (policy.limit * SECOND)
        kept[policy.name] = (level, now, now - (-lacking // policy.limit))
    decision = Decision(not wait, remaining, reset_s, whole_seconds(wait) if wait else 0)
    return decision, kept, max(full_at for _, _, full_at in kept.values())
