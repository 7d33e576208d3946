"""Rate limiting: a window in memory, a window and a token bucket in Redis, an ASGI middleware.

A decision is one atomic step: Python without an await in memory, one Lua script in Redis. The
middleware asks once for each request, and reports what it was told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil
from typing import ClassVar, Literal, Protocol
from uuid import uuid4

from redis.asyncio import Redis
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `limit` units in `window_s` seconds."""

    name: str
    limit: int
    window_s: int
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A limiter's answer to one hit."""

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


# -- in memory

_Key = tuple[str, str]  # identity and name of the policy


class MemoryWindow:
    """A sliding window in the memory of one process.

    Nothing is awaited inside `hit`, so that on one event loop each hit is a single step.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._units: dict[_Key, deque[float]] = {}  # when each unit was taken, the oldest first
        self._ends: list[tuple[float, _Key]] = []  # a heap: when each of them leaves its window

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window."""
        now = self._clock()
        self._forget(now)
        units = {p: self._units.get((ident, p.name), deque()) for p in policies}
        waits = [
            taken[excess - 1] + p.window_s - now
            for p, taken in units.items()
            if (excess := len(taken) + cost - p.limit) > 0
        ]
        if not waits:
            for p, taken in units.items():
                self._take(taken, (ident, p.name), now, p.window_s, cost)
        return Decision(
            allowed=not waits,
            remaining={p.name: max(0, p.limit - len(taken)) for p, taken in units.items()},
            reset_s={
                p.name: taken[0] + p.window_s - now if taken else 0.0 for p, taken in units.items()
            },
            retry_after=ceil(max(waits, default=0)),
        )

    def _take(self, taken: deque[float], key: _Key, now: float, window_s: int, cost: int) -> None:
        self._units[key] = taken
        for _ in range(cost):
            taken.append(now)
            heappush(self._ends, (now + window_s, key))

    def _forget(self, now: float) -> None:
        """Drop each unit that has left its window, and each log without units: amortised."""
        while self._ends and self._ends[0][0] <= now:
            _, key = heappop(self._ends)
            self._units[key].popleft()
            if not self._units[key]:
                del self._units[key]


# -- in Redis


class _Scripted:
    """A limiter that is one Lua script: one round trip, atomic, on the server's clock.

    KEYS: one for each policy. ARGV: cost, a unique id, then limit, burst and window (in
    microseconds) of each policy. Whole microseconds fit into a double exactly. Returns the
    microseconds to wait (0: admitted), then what remains and the time to reset of each policy.
    """

    _lua: ClassVar[str]

    def __init__(self, redis: Redis, *, prefix: str) -> None:
        self._prefix = prefix
        self._run = redis.register_script(self._lua)  # sends the script again when it is lost

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` units from every policy, or from none."""
        # A name holds no colon, so no two pairs share a key. The braces are a hash tag: in a
        # cluster, all keys of an identity live on one node.
        keys = [f"{self._prefix}:{p.name}:{{{ident}}}" for p in policies]
        args: list[str | int] = [cost, uuid4().hex]
        for p in policies:
            args += [p.limit, p.limit if p.burst is None else p.burst, p.window_s * 1_000_000]
        wait, *state = await self._run(keys=keys, args=args)
        names = [p.name for p in policies]
        return Decision(
            allowed=not wait,
            remaining=dict(zip(names, state[0::2], strict=True)),
            reset_s={n: us / 1e6 for n, us in zip(names, state[1::2], strict=True)},
            retry_after=ceil(wait / 1e6),
        )


class RedisWindow(_Scripted):
    """The sliding window, shared by all processes that use the same database and prefix.

    Each policy has a sorted set with a member for each unit taken, by instant. The unit that has to
    leave before a hit fits is found by its rank.
    """

    _lua = """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local cost = tonumber(ARGV[1])
    local used, wait = {}, 0
    for i, key in ipairs(KEYS) do
        local limit, window = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 2])
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
        used[i] = redis.call('ZCARD', key)
        local excess = used[i] + cost - limit
        if excess > 0 then
            local unit = redis.call('ZRANGE', key, excess - 1, excess - 1, 'WITHSCORES')
            wait = math.max(wait, unit[2] + window - now)
        end
    end
    local reply = {wait}
    for i, key in ipairs(KEYS) do
        local limit, window = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 2])
        if wait == 0 then
            for unit = 1, cost do
                redis.call('ZADD', key, now, ARGV[2] .. ':' .. unit)
            end
            redis.call('PEXPIRE', key, window / 1000)
            used[i] = used[i] + cost
        end
        local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
        reply[2 * i] = math.max(0, limit - used[i])
        reply[2 * i + 1] = oldest and oldest + window - now or 0
    end
    return reply
    """

    def __init__(self, redis: Redis, *, prefix: str = "ratelimit") -> None:
        super().__init__(redis, prefix=prefix)


class TokenBucket(_Scripted):
    """A bucket of `burst` tokens for each policy, refilled at `limit` in `window_s`.

    What is kept is the debt, that is, what the bucket lacks to be full: a full bucket needs no
    key. It is counted in tokens x window, of which every microsecond refills `limit`: no rounding.
    """

    _lua = """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local cost = tonumber(ARGV[1])
    local debts, wait = {}, 0
    for i, key in ipairs(KEYS) do
        local limit, burst, window = unpack(ARGV, 3 * i, 3 * i + 2)
        local debt, at = unpack(redis.call('HMGET', key, 'debt', 'at'))
        debts[i] = debt and math.max(0, debt - (now - at) * limit) or 0
        wait = math.max(wait, math.ceil((debts[i] + (cost - burst) * window) / limit))
    end
    local reply = {wait}
    for i, key in ipairs(KEYS) do
        local limit, burst, window = unpack(ARGV, 3 * i, 3 * i + 2)
        if wait == 0 then
            debts[i] = debts[i] + cost * window
            redis.call('HSET', key, 'debt', debts[i], 'at', now)
            redis.call('PEXPIRE', key, math.ceil(debts[i] / limit / 1000))
        end
        reply[2 * i] = math.floor(burst - debts[i] / window)
        reply[2 * i + 1] = math.ceil(debts[i] / limit)
    end
    return reply
    """

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        super().__init__(redis, prefix=prefix)


# -- over HTTP


class RateLimitMiddleware:
    """Asks the limiter once for each request, and tells the client what it said.

    Pure ASGI: responses stream through, and no state of a request is kept on the instance.
    """

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            return await self._app(scope, receive, send)
        principal = await self._identify(scope)
        policies = self._policies(principal)
        if not policies:
            return await self._app(scope, receive, send)
        decision = await self._decide(_ident(principal, scope), policies)
        if decision is None and self._on_store_error == "closed":
            return await _unavailable()(scope, receive, send)
        if decision is None:
            return await self._app(scope, receive, send)
        if not decision.allowed:
            return await _refusal(policies, decision)(scope, receive, send)
        return await self._app(scope, receive, _with_fields(send, _fields(policies, decision)))

    def _policies(self, principal: Principal | None) -> Sequence[Policy]:
        default = self._tiers.get("default", ())
        return self._tiers.get(principal.tier, default) if principal else default

    async def _decide(self, ident: str, policies: Sequence[Policy]) -> Decision | None:
        """Ask the limiter. None: it failed, or took too long."""
        hit = asyncio.ensure_future(self._limiter.hit(ident, policies))
        hit.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved
        try:
            # Not asyncio.timeout() or wait_for(): they wait until the cancelled hit has ended.
            await asyncio.wait({hit}, timeout=self._store_timeout_s)
            return hit.result() if hit.done() else None
        except Exception as error:  # noqa: BLE001 - whatever a store raises, it has not decided
            _log.warning("no decision, failing %s: %r", self._on_store_error, error)
            return None
        finally:
            hit.cancel()


def _ident(principal: Principal | None, scope: Scope) -> str:
    if principal:
        return f"user:{principal.id}"
    return f"ip:{scope['client'][0]}" if scope.get("client") else "ip:unknown"


def _fields(policies: Sequence[Policy], decision: Decision) -> dict[str, str]:
    """Return the header fields of draft-ietf-httpapi-ratelimit-headers-11."""
    left, reset = decision.remaining, decision.reset_s
    state = [f'"{p.name}";r={left[p.name]};t={ceil(reset[p.name])}' for p in policies]
    return {
        "ratelimit-policy": ", ".join(f'"{p.name}";q={p.limit};w={p.window_s}' for p in policies),
        "ratelimit": ", ".join(state),
    }


def _with_fields(send: Send, fields: Mapping[str, str]) -> Send:
    """Return a `send` that sets header fields of the response."""
    added = [(name.encode(), value.encode()) for name, value in fields.items()]
    names = {name for name, _ in added}

    async def send_with_fields(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            message = {**message, "headers": kept + added}
        await send(message)

    return send_with_fields


def _refusal(policies: Sequence[Policy], decision: Decision) -> JSONResponse:
    violated = [p.name for p in policies if decision.remaining[p.name] == 0]
    problem = {"type": _QUOTA_EXCEEDED, "title": "Quota exceeded", "violated-policies": violated}
    headers = {"retry-after": str(decision.retry_after), **_fields(policies, decision)}
    return _problem(429, problem, headers)


def _unavailable() -> JSONResponse:
    return _problem(503, {"title": "Service Unavailable"}, {"retry-after": "1"})


def _problem(
    status: int, members: Mapping[str, object], headers: Mapping[str, str]
) -> JSONResponse:
    """Return a problem document (RFC 9457)."""
    content = {**members, "status": status}
    return JSONResponse(content, status, headers, media_type="application/problem+json")
