"""Write your rate limiters and their middleware here. Types and signatures are fixed.

README.md has the rules. Run the public examples with `pytest`, the graders with `archprep check`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote

from redis.asyncio import Redis
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)


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


@dataclass(slots=True)
class _Log:
    """The admitted hits of one identity under one policy name, oldest first."""

    window_s: int
    hits: deque[tuple[float, int]] = field(default_factory=deque)  # (instant, cost)
    used: int = 0

    def prune(self, now: float) -> None:
        """Drop what has left the window."""
        while self.hits and self.hits[0][0] + self.window_s <= now:
            self.used -= self.hits.popleft()[1]

    def wait(self, now: float, excess: int) -> float:
        """Return the seconds until at least `excess` units have left the window."""
        for instant, cost in self.hits:
            excess -= cost
            if excess <= 0:
                return instant + self.window_s - now
        raise AssertionError("a hit costs more than its limit")


class MemoryWindow:
    """A sliding window log in the memory of one process.

    hit() never awaits, so it is atomic among the tasks of an event loop.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """Make a limiter whose instants are those of `clock`."""
        self._clock = clock
        self._logs: dict[tuple[str, str], _Log] = {}
        # One entry per log. Its instant may be too early (a hit came later), never too late.
        self._expiries: list[tuple[float, tuple[str, str]]] = []

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""
        now = self._clock()
        self._forget(now)

        wait = 0.0
        for policy in policies:
            log = self._logs.get((ident, policy.name))
            if log is None:
                continue
            log.prune(now)
            excess = log.used + cost - policy.limit
            if excess > 0:
                wait = max(wait, log.wait(now, excess))

        allowed = wait <= 0
        remaining, reset_s = {}, {}
        for policy in policies:
            key = ident, policy.name
            log = self._logs.get(key)
            if allowed:
                if log is None:
                    log = self._logs[key] = _Log(policy.window_s)
                    heapq.heappush(self._expiries, (now + policy.window_s, key))
                log.hits.append((now, cost))
                log.used += cost
            used = log.used if log else 0
            remaining[policy.name] = max(0, policy.limit - used)
            oldest = log.hits[0][0] if log and log.hits else None
            reset_s[policy.name] = 0.0 if oldest is None else oldest + policy.window_s - now
        retry_after = 0 if allowed else max(1, math.ceil(wait))
        return Decision(allowed, remaining, reset_s, retry_after)

    def _forget(self, now: float) -> None:
        """Drop every log whose last hit has left its window."""
        while self._expiries and self._expiries[0][0] <= now:
            _, key = self._expiries[0]
            log = self._logs[key]
            log.prune(now)
            if log.hits:
                heapq.heapreplace(self._expiries, (log.hits[-1][0] + log.window_s, key))
            else:
                heapq.heappop(self._expiries)
                del self._logs[key]


def _key_part(ident: str) -> str:
    """Return `ident` free of ":", "{" and "}", which mean something in our keys."""
    return quote(ident, safe="", errors="surrogatepass")


# One list per identity and name: an entry "instant before after" for each admitted hit, where
# before and after are the units ever admitted to this list. So `used` takes two look-ups, and the
# hit that has to leave can be found by bisection. Instants are microseconds.
_WINDOW_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local cost = tonumber(ARGV[1])

local function at(key, index)
    local entry = redis.call('LINDEX', key, index)
    if not entry then return nil end
    local instant, before, after = string.match(entry, '^(%d+) (%d+) (%d+)$')
    return {instant = tonumber(instant), before = tonumber(before), after = tonumber(after)}
end

local logs, wait = {}, 0
for i, key in ipairs(KEYS) do
    local limit, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]) * 1000000
    local first = at(key, 0)
    while first and first.instant + window <= now do
        redis.call('LPOP', key)
        first = at(key, 0)
    end
    local last = first and at(key, -1)
    local log = {limit = limit, window = window, first = first, used = 0, total = 0}
    if first then
        log.used, log.total = last.after - first.before, last.after
    end
    local excess = log.used + cost - limit
    if excess > 0 then
        local low, high = 0, redis.call('LLEN', key) - 1
        while low < high do
            local middle = math.floor((low + high) / 2)
            if at(key, middle).after - first.before >= excess then
                high = middle
            else
                low = middle + 1
            end
        end
        wait = math.max(wait, at(key, low).instant + window - now)
    end
    logs[i] = log
end

local reply = {wait}
for i, key in ipairs(KEYS) do
    local log = logs[i]
    local oldest = log.first and log.first.instant
    if wait == 0 then
        local entry = string.format('%.0f %.0f %.0f', now, log.total, log.total + cost)
        redis.call('RPUSH', key, entry)
        redis.call('PEXPIRE', key, string.format('%.0f', log.window / 1000 + 1000))
        log.used = log.used + cost
        oldest = oldest or now
    end
    table.insert(reply, math.max(0, log.limit - log.used))
    table.insert(reply, oldest and oldest + log.window - now or 0)
end
return reply
"""


class RedisWindow:
    """The same window, shared by all processes that use the same Redis server."""

    def __init__(self, redis: Redis, *, prefix: str = "ratelimit") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        self._prefix = prefix
        self._script = redis.register_script(_WINDOW_SCRIPT)

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Admit the hit if every policy has room for it in its window, and say so."""
        # The braces keep all keys of an identity on one node of a cluster.
        stem = f"{self._prefix}:{{{_key_part(ident)}}}"
        args = [cost]
        for policy in policies:
            args += policy.limit, policy.window_s
        reply = await self._script([f"{stem}:{policy.name}" for policy in policies], args)
        return _decision(policies, reply)


def _decision(policies: Sequence[Policy], reply: Sequence[int]) -> Decision:
    """Read a script's reply: the microseconds to wait, then what remains and the reset of each."""
    wait, *state = map(int, reply)
    names = [policy.name for policy in policies]
    return Decision(
        allowed=wait == 0,
        remaining=dict(zip(names, state[0::2], strict=True)),
        reset_s={n: us / 1_000_000 for n, us in zip(names, state[1::2], strict=True)},
        retry_after=-(-wait // 1_000_000),
    )


class _Undecided(Exception):
    """The limiter failed, or took too long."""


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
        self._fail_open = on_store_error == "open"
        self._timeout_s = store_timeout_s
        self._abandoned: set[asyncio.Task[Decision]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit a request, or let it pass."""
        policies: Sequence[Policy] = ()
        if scope["type"] == "http" and scope["method"] != "OPTIONS":
            principal = await self._identify(scope)
            policies = self._policies("default" if principal is None else principal.tier)
        if not policies:
            await self._app(scope, receive, send)
            return

        client = scope.get("client") or ("unknown", 0)
        ident = f"ip:{client[0]}" if principal is None else f"user:{principal.id}"
        try:
            decision = await self._decide(ident, policies)
        except _Undecided as error:
            logger.warning("rate limiter has not decided", exc_info=error.__cause__)
            if self._fail_open:
                await self._app(scope, receive, send)
            else:
                await self._unavailable()(scope, receive, send)
            return

        fields = _fields(policies, decision)
        if not decision.allowed:
            await _refusal(policies, decision, fields)(scope, receive, send)
            return

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Starlette looks for names in lower case; an app may send others.
                sent = [(name.lower(), value) for name, value in message.get("headers", ())]
                headers = MutableHeaders(raw=sent)
                headers.update(fields)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, send_with_fields)

    def _policies(self, tier: str) -> Sequence[Policy]:
        for name in (tier, "default"):
            if name in self._tiers:
                return self._tiers[name]
        return ()

    async def _decide(self, ident: str, policies: Sequence[Policy]) -> Decision:
        """Hit the limiter, or raise _Undecided.

        asyncio.timeout() would wait for as long as the limiter resists its cancellation.
        """

        async def hit() -> Decision:
            return await self._limiter.hit(ident, policies)

        task = asyncio.create_task(hit())
        try:
            await asyncio.wait([task], timeout=self._timeout_s)
        finally:
            if not task.done():
                self._abandoned.add(task)
                task.add_done_callback(self._bury)
                task.cancel()
        if not task.done():
            raise _Undecided from TimeoutError(f"no decision after {self._timeout_s} s")
        try:
            return task.result()
        except (Exception, asyncio.CancelledError) as error:  # it was not us who are cancelled
            raise _Undecided from error

    def _bury(self, task: asyncio.Task[Decision]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else will ask for it

    @staticmethod
    def _unavailable() -> JSONResponse:
        problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
        return JSONResponse(problem, 503, {"Retry-After": "1"}, "application/problem+json")


def _fields(policies: Sequence[Policy], decision: Decision) -> dict[str, str]:
    """Return the two fields of draft-ietf-httpapi-ratelimit-headers-11."""
    quotas, states = [], []
    for policy in policies:
        name = policy.name
        quotas.append(f'"{name}";q={policy.limit};w={policy.window_s}')
        reset = math.ceil(decision.reset_s[name])
        states.append(f'"{name}";r={decision.remaining[name]};t={reset}')
    return {"RateLimit-Policy": ", ".join(quotas), "RateLimit": ", ".join(states)}


def _refusal(
    policies: Sequence[Policy], decision: Decision, fields: Mapping[str, str]
) -> JSONResponse:
    problem = {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Quota exceeded",
        "status": 429,
        "violated-policies": [p.name for p in policies if not decision.remaining[p.name]],
    }
    headers = {"Retry-After": str(decision.retry_after), **fields}
    return JSONResponse(problem, 429, headers, "application/problem+json")


# One hash per identity, a field "instant credit" per name. A token is worth `window` credits, and a
# microsecond brings `limit` of them: so everything is a whole number. Only an admitted hit writes.
_BUCKET_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local cost = tonumber(ARGV[1])

local buckets, wait = {}, 0
for i = 2, #ARGV, 4 do
    local name, limit = ARGV[i], tonumber(ARGV[i + 1])
    local window, burst = tonumber(ARGV[i + 2]) * 1000000, tonumber(ARGV[i + 3])
    local size = burst * window
    local credit = size
    local entry = redis.call('HGET', KEYS[1], name)
    if entry then
        local instant, left = string.match(entry, '^(%d+) (%d+)$')
        local elapsed = math.max(0, now - tonumber(instant))
        credit = math.min(size, tonumber(left) + limit * elapsed)
    end
    wait = math.max(wait, math.ceil((cost * window - credit) / limit))
    table.insert(
        buckets, {name = name, limit = limit, window = window, size = size, credit = credit})
end

local reply, ttl = {wait}, redis.call('PTTL', KEYS[1])
for _, bucket in ipairs(buckets) do
    if wait == 0 then
        bucket.credit = bucket.credit - cost * bucket.window
        redis.call('HSET', KEYS[1], bucket.name, string.format('%.0f %.0f', now, bucket.credit))
    end
    local full = math.ceil((bucket.size - bucket.credit) / bucket.limit)
    ttl = math.max(ttl, math.ceil(full / 1000) + 500)
    table.insert(reply, math.floor(bucket.credit / bucket.window))
    table.insert(reply, full)
end
if wait == 0 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
end
return reply
"""


class TokenBucket:
    """A bucket of tokens for each identity and policy, refilled continuously, in Redis."""

    def __init__(self, redis: Redis, *, prefix: str = "bucket") -> None:
        """Make a limiter that keeps everything under keys that begin with `prefix` and ":".

        redis: a client made with decode_responses=False, the default.
        """
        self._prefix = prefix
        self._script = redis.register_script(_BUCKET_SCRIPT)

    async def hit(self, ident: str, policies: Sequence[Policy], cost: int = 1) -> Decision:
        """Take `cost` tokens from every policy's bucket if all of them have as many."""
        args: list[int | str] = [cost]
        for policy in policies:
            burst = policy.limit if policy.burst is None else policy.burst
            args += policy.name, policy.limit, policy.window_s, burst
        reply = await self._script([f"{self._prefix}:{_key_part(ident)}"], args)
        return _decision(policies, reply)
