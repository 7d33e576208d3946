"""Rate limiting: a window in memory, a window and a token bucket in Redis, an ASGI middleware.

A limiter's decision is one indivisible step: plain Python without an await in memory, one Lua
script in Redis. The middleware asks once for each request and tells what it was told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from math import ceil
from typing import ClassVar, Literal, Protocol
from uuid import uuid4

from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_STORE_RETRY_S = 1  # what a client is told while the store is away; nobody knows better
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
    """What a limiter says to one hit."""

    allowed: bool
    remaining: dict[str, int]
    reset_s: dict[str, float]
    retry_after: int


class Clock(Protocol):
    """The time, in seconds."""

    def time(self) -> float:
        """Return the wall clock's time: it may be set back or forward."""

    def monotonic(self) -> float:
        """Return a time that never goes back. Its origin is arbitrary."""


class Limiter(Protocol):
    """Decides about hits."""

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` units from every policy of this identity, or from none."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request, verified."""

    id: str
    tier: str = "default"


Identify = Callable[[Request], Awaitable[Principal | None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests are limited, and how."""

    path: str
    policies: Mapping[str, Sequence[Policy]]
    methods: frozenset[str] | None = None
    cost: int = 1

    def covers(self, method: str, path: str) -> bool:
        """Whether a request falls under this rule."""
        below = self.path.rstrip("/") + "/"
        return (self.methods is None or method in self.methods) and (
            path == self.path or path.startswith(below)
        )


# -- one process


@dataclass(slots=True)
class _Log:
    """The admitted hits of one identity under one policy: (instant, cost), the oldest first."""

    hits: deque[tuple[float, int]] = field(default_factory=deque)
    used: int = 0

    def forget(self, horizon: float) -> None:
        """Drop the hits at and before this instant."""
        while self.hits and self.hits[0][0] <= horizon:
            self.used -= self.hits.popleft()[1]

    def add(self, now: float, cost: int) -> None:
        self.hits.append((now, cost))
        self.used += cost

    def reset_s(self, now: float, window_s: int) -> float:
        """Return the seconds until the oldest hit leaves the window."""
        return self.hits[0][0] + window_s - now if self.hits else 0.0

    def last_of(self, units: int) -> float:
        """Return the instant of the hit with which the oldest `units` are gone."""
        for at, cost in self.hits:
            units -= cost
            if units <= 0:
                return at
        raise ValueError("a hit costs more than its policy ever allows")


class MemoryWindow:
    """A sliding window log in the memory of one process.

    Nothing is awaited inside `hit`, so that on one event loop each hit is a single step.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        # By length of the window, then by (identity, policy): the longest without a hit first.
        self._logs: dict[int, OrderedDict[tuple[str, str], _Log]] = {}

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window."""
        now = self._clock.monotonic()
        self._forget(now)
        logs = {p: self._log(ident, p, now) for p in policies}
        excess = {p: log.used + cost - p.limit for p, log in logs.items()}
        waits = [
            logs[p].last_of(units) + p.window_s - now for p, units in excess.items() if units > 0
        ]
        if not waits:
            for policy, log in logs.items():
                log.add(now, cost)
                self._keep(ident, policy, log)
        return Decision(
            allowed=not waits,
            remaining={p.name: max(0, p.limit - log.used) for p, log in logs.items()},
            reset_s={p.name: log.reset_s(now, p.window_s) for p, log in logs.items()},
            retry_after=max(1, ceil(max(waits))) if waits else 0,
        )

    def _log(self, ident: str, policy: Policy, now: float) -> _Log:
        logs = self._logs.setdefault(policy.window_s, OrderedDict())
        log = logs.get((ident, policy.name)) or _Log()
        log.forget(now - policy.window_s)
        return log

    def _keep(self, ident: str, policy: Policy, log: _Log) -> None:
        """Store the log as the one that was hit last."""
        logs = self._logs[policy.window_s]
        logs[ident, policy.name] = log
        logs.move_to_end((ident, policy.name))

    def _forget(self, now: float) -> None:
        """Drop what has left its window whole. Each log is dropped once: amortised O(1)."""
        for window_s, logs in self._logs.items():
            while logs and next(iter(logs.values())).hits[-1][0] <= now - window_s:
                logs.popitem(last=False)


# -- Redis


class _Scripted:
    """A limiter that is one Lua script: one round trip, indivisible, on the server's clock.

    KEYS: one for each policy. ARGV: cost, a unique id, then limit, burst and window in
    microseconds of each policy. Instants and durations are whole microseconds, which a double
    holds exactly. The script returns the microseconds to wait (0: admitted), then what remains
    and the microseconds to the reset of each policy.
    """

    _lua: ClassVar[str]

    def __init__(self, redis: Redis, *, prefix: str) -> None:
        self._prefix = prefix
        self._run = redis.register_script(self._lua)

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` units from every policy, or from none."""
        # The braces are a hash tag: in a cluster, all keys of an identity live on one node.
        keys = [f"{self._prefix}:{{{ident}}}:{p.name}" for p in policies]
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
    """The sliding window log, shared by all processes that use the same server.

    Each policy has a sorted set with one member for each unit used, by instant. So the unit
    that has to leave before a hit fits is found by its rank.
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
            redis.call('EXPIRE', key, window / 1000000 + 1)
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

    What is kept is the debt, that is, what the bucket lacks to be full: a bucket that is full
    needs no key. It is counted in tokens x window, of which every microsecond refills `limit`:
    whole numbers, no rounding.
    """

    _lua = """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local cost = tonumber(ARGV[1])
    local debts, wait = {}, 0
    for i, key in ipairs(KEYS) do
        local limit, burst, window = unpack(ARGV, 3 * i, 3 * i + 2)
        local debt, at = unpack(redis.call('HMGET', key, 'debt', 'at'))
        debts[i] = debt and math.max(0, debt - math.max(0, now - at) * limit) or 0
        local excess = debts[i] + cost * window - burst * window
        wait = math.max(wait, math.ceil(excess / limit))
    end
    local reply = {wait}
    for i, key in ipairs(KEYS) do
        local limit, burst, window = unpack(ARGV, 3 * i, 3 * i + 2)
        if wait == 0 then
            debts[i] = debts[i] + cost * window
            redis.call('HSET', key, 'debt', debts[i], 'at', now)
            redis.call('PEXPIRE', key, math.ceil(debts[i] / limit / 1000) + 1000)
        end
        reply[2 * i] = math.max(0, math.floor((burst * window - debts[i]) / window))
        reply[2 * i + 1] = math.ceil(debts[i] / limit)
    end
    return reply
    """

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        super().__init__(redis, prefix=prefix)


# -- HTTP


class RateLimitMiddleware:
    """Asks the limiter once for each limited request, and tells the client what it said.

    Pure ASGI: responses stream through, context variables and WebSockets are left alone.
    """

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
        self._app = app
        self._limiter = limiter
        self._identify = identify
        self._rules = tuple(rules)
        self._trusted = [ip_network(proxy) for proxy in trusted_proxies]
        self._on_store_error = on_store_error
        self._store_timeout_s = store_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        rule = self._rule(scope)
        if rule is None:
            await self._app(scope, receive, send)
            return
        principal = await self._identify(Request(scope))
        tier = principal.tier if principal else "default"
        policies = rule.policies.get(tier, rule.policies.get("default", ()))
        if not policies:
            await self._app(scope, receive, send)
            return
        ident = f"user:{principal.id}" if principal else f"ip:{self._address(scope)}"
        decision = await self._decide(ident, policies, rule.cost)
        if decision is None and self._on_store_error == "closed":
            await _unavailable()(scope, receive, send)
        elif decision is None:
            await self._app(scope, receive, send)
        elif decision.allowed:
            await self._app(scope, receive, _with_fields(send, _fields(policies, decision)))
        else:
            await _refusal(policies, decision, rule.cost)(scope, receive, send)

    def _rule(self, scope: Scope) -> Rule | None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            return None
        method, path = scope["method"], scope["path"]
        return next((rule for rule in self._rules if rule.covers(method, path)), None)

    async def _decide(self, ident: str, policies: Sequence[Policy], cost: int) -> Decision | None:
        """Ask the limiter. None: it failed, or took too long."""
        try:
            async with asyncio.timeout(self._store_timeout_s):
                return await self._limiter.hit(ident, policies, cost=cost)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, it has not decided
            _log.warning("no decision, failing %s: %r", self._on_store_error, error)
            return None

    def _address(self, scope: Scope) -> str:
        """Return the nearest address that is not one of our own proxies."""
        if not scope.get("client"):
            return "unknown"
        address: str = scope["client"][0]
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = [hop.strip() for hop in b",".join(lines).decode("latin-1").split(",")]
        for hop in reversed([hop for hop in hops if hop]):
            if not self._is_trusted(address):
                break
            address = hop
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _fields(policies: Sequence[Policy], decision: Decision) -> dict[str, str]:
    """Return the header fields of draft-ietf-httpapi-ratelimit-headers-11."""
    left, reset = decision.remaining, decision.reset_s
    return {
        "RateLimit-Policy": ", ".join(f'"{p.name}";q={p.limit};w={p.window_s}' for p in policies),
        "RateLimit": ", ".join(
            f'"{p.name}";r={left[p.name]};t={ceil(reset[p.name])}' for p in policies
        ),
    }


def _with_fields(send: Send, fields: Mapping[str, str]) -> Send:
    """Return a `send` that adds header fields to the response."""
    added = [(name.lower().encode(), value.encode()) for name, value in fields.items()]

    async def send_with_fields(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_with_fields


def _refusal(policies: Sequence[Policy], decision: Decision, cost: int) -> JSONResponse:
    violated = [p.name for p in policies if decision.remaining[p.name] < cost]
    return _problem(
        429,
        {"Retry-After": str(decision.retry_after), **_fields(policies, decision)},
        type=_QUOTA_EXCEEDED,
        title="Quota exceeded",
        **{"violated-policies": violated},
    )


def _unavailable() -> JSONResponse:
    return _problem(503, {"Retry-After": str(_STORE_RETRY_S)}, title="Service Unavailable")


def _problem(status: int, headers: Mapping[str, str], **members: object) -> JSONResponse:
    """Return a problem document (RFC 9457)."""
    content = {**members, "status": status}
    return JSONResponse(content, status, headers, media_type="application/problem+json")
