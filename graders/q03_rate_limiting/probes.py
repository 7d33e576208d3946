"""Drives the candidate's limiters and middleware; nothing here knows what is right."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import sys
import time
from collections.abc import Mapping

from archprep.worker import asgi
from archprep.worker.async_stub import AsyncStub
from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import error_named, is_scripted, scripted_error, summarize

# -- limiters, without HTTP


class Clock:
    """Stands where the plan puts it."""

    def __init__(self):
        self.now, self.wall = 0.0, 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall


def play_all(plays):
    """Play some plans one after another, each on limiters of its own."""
    return [asyncio.run(in_memory(**p) if "clock" in p else in_redis(**p)) for p in plays]


async def in_memory(limiter, clock, policies, hits):
    """Each hit at its instants of the two clocks, `clock` ahead of the plan."""
    import ratelimit

    policies = [ratelimit.Policy(*fields) for fields in policies]
    limited, seen = getattr(ratelimit, limiter)(clock=(it := Clock())), []
    for at, wall, *call in hits:
        it.now, it.wall = clock + at, wall
        seen.append(await hit(limited, policies, *call))
    return seen


async def in_redis(limiter, server, limiters, policies, hits):
    """Some limiters share a server whose clock and expiry follow the plan, from `server` on."""
    import fakeredis
    import ratelimit
    import time_machine

    shared = fakeredis.FakeServer()
    clients = [fakeredis.FakeAsyncRedis(server=shared) for _ in range(limiters)]
    policies = [ratelimit.Policy(*fields) for fields in policies]
    with time_machine.travel(server, tick=False) as clock:
        limited, seen = [getattr(ratelimit, limiter)(client) for client in clients], []
        for number, (at, _, *call) in enumerate(hits):
            clock.move_to(server + at)
            seen.append(await hit(limited[number % limiters], policies, *call))
        for client in clients:
            await client.aclose()
    return seen


async def hit(limiter, policies, ident, numbers, cost):
    """One decision as plain data."""
    options = {} if cost == 1 else {"cost": cost}
    decision = await limiter.hit(ident, tuple(policies[n] for n in numbers), **options)
    if not hasattr(decision, "retry_after"):
        return repr(decision)
    fields = ("allowed", "remaining", "reset_s", "retry_after")
    return [plain(getattr(decision, field, None)) for field in fields]


def crowd(clock, policies, rounds):
    """Many identities come and go: what is allowed, and the memory in use before each round."""
    gc.collect()
    gc.freeze()  # what this process began with need not be looked at again
    return asyncio.run(crowded(clock, policies, rounds))


async def crowded(clock, policies, rounds):
    import ratelimit

    policies = [ratelimit.Policy(*fields) for fields in policies]
    limiter = ratelimit.MemoryWindow(clock=(it := Clock()))
    allowed, used = [], []
    for hits in [*rounds, []]:
        gc.collect()
        used.append(sys.getallocatedblocks())
        now = []
        for at, ident in hits:
            it.now = it.wall = clock + at
            own = ident[:1] + ident[1:]  # a text of its own: to keep it takes memory
            now.append((await hit(limiter, policies, own, range(len(policies)), 1))[0])
        allowed.append(now)
    return {"allowed": allowed[:-1], "used": used}


# -- over HTTP


def guard(listeners, world, guards, known, store=None):
    """Serve an app behind the candidate's middleware; a header names the one of `guards`."""
    from archprep.worker.serve import serve

    world = AsyncStub(world)
    app = make_app(world)
    fronts = {
        name: protect(app, Remote(world.hit), known, store=store, **settings)
        for name, settings in guards.items()
    }
    serve(Front(fronts, world.broke), listeners[0])


def protect(app, limiter, known, *, rules, store=None, store_limiter=False, **settings):
    """Put the candidate's middleware around an app."""
    import ratelimit

    made = [
        ratelimit.Rule(
            path=rule["path"],
            policies={
                tier: tuple(ratelimit.Policy(*fields) for fields in policies)
                for tier, policies in rule["policies"].items()
            },
            methods=None if rule["methods"] is None else frozenset(rule["methods"]),
            cost=rule["cost"],
        )
        for rule in rules
    ]
    if store_limiter:
        limiter = window_of(store, limiter)
    return ratelimit.RateLimitMiddleware(
        app, limiter=limiter, identify=identify_by(known), rules=made, **settings
    )


def window_of(store, instead):
    """A window in the store; if none is written yet, a limiter that does as well here."""
    import ratelimit
    from redis.asyncio import Redis

    try:
        return ratelimit.RedisWindow(Redis(unix_socket_path=store))
    except NotImplementedError:
        return instead


def identify_by(known):
    async def identify(request):
        import ratelimit

        await asyncio.sleep(0)
        for header, people in known.items():
            if found := people.get(request.headers.get(header, "")):
                return ratelimit.Principal(*found)
        return None

    return identify


class Remote:
    """The judge's limiter."""

    def __init__(self, ask):
        self._ask = ask

    async def hit(self, ident, policies, cost=1):
        import ratelimit

        asked = [[p.name, p.limit, p.window_s, p.burst] for p in policies]
        said = await self._ask(ident, asked, cost)
        if "raises" in said:
            raise error_named(said["raises"], said["text"])
        return ratelimit.Decision(**said)


def make_app(world):
    """An API of one endpoint, which answers as the judge says."""
    from fastapi import FastAPI, Response
    from starlette.routing import Route

    async def endpoint(request):
        body = await request.body()
        url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        digest = hashlib.sha256(body).hexdigest()
        said = await world.visit(url, request.method, len(body), digest)
        if "raises" in said:
            raise scripted_error(said["raises"], said["text"])
        response = Response(said["body"], said["status"])
        response.raw_headers += [(n.encode(), v.encode()) for n, v in said["headers"]]
        return response

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return FastAPI(openapi_url=None, routes=[Route("/{path:path}", endpoint, methods=methods)])


class Front:
    """What a server and its proxies do before the middleware: takes the judge's own headers off."""

    def __init__(self, guards, broke):
        self._guards, self._broke = guards, broke

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await asgi.live(receive, send)
            return
        told, scope = asgi.take_headers(scope, ["x-guard", "x-peer"])
        await self._call(self._guards[told["x-guard"]], scope, receive, send)

    async def _call(self, guard, scope, receive, send):
        """Call the middleware; the judge, not the log, is told of what it raises."""
        begun = False

        async def noting(message):
            nonlocal begun
            begun = True
            await send(message)

        try:
            await guard(scope, receive, noting)
        except NotImplementedError:
            raise
        except Exception as error:
            if is_scripted(error):  # the app's own, which it has answered
                return
            where = scope["path"] + (f"?{q}" if (q := scope["query_string"].decode()) else "")
            await self._broke(where, summarize(error))
            if begun:
                raise
            await asgi.answer(send, 500)


# -- ASGI calls without a server


def pass_scopes(wire, calls, guards, known):
    """Call the middleware directly, once for each scope."""
    (settings,) = guards.values()
    limiter = AsyncStub(wire)
    for number, call in enumerate(calls):
        asyncio.run(pass_scope(wire, limiter, number, known=known, settings=settings, **call))


async def pass_scope(wire, limiter, number, scope, steps, known, settings):
    """One call: server and app tell the judge what comes to them."""
    ends = Ends(lambda *what: wire.event(number, *what), steps)
    remote = Remote(lambda _, policies, __: limiter.hit(number, policies))
    called = protect(ends.app, remote, known, **settings)
    try:
        await called(as_sent(scope), ends.receive, ends.send)
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001 - the judge is told
        ends.note("it raises", type(error).__name__ if is_scripted(error) else summarize(error))
    else:
        ends.note("it returns", None)


class Ends:
    """Both ends of an ASGI call: the app, and what a server gives it."""

    def __init__(self, note, steps):
        self.note, self._steps = note, steps
        self._incoming = iter([message for verb, message in steps if verb == "receives"])
        self._arrived = asyncio.Semaphore(0)
        self._called, self._patience = False, 0.5

    async def app(self, scope, receive, send):
        self._called = True
        self.note("the app is called with", as_told(scope))
        for verb, what in self._steps:
            if verb == "raises":
                raise scripted_error(what)
            if verb == "receives":
                self.note("the app receives", as_told(await receive()))
                continue
            await send(as_sent(what))
            await self._arrive()

    async def _arrive(self):
        """Wait until the server has what was sent; where that fails once, not again."""
        try:
            await asyncio.wait_for(self._arrived.acquire(), self._patience)
        except TimeoutError:
            self._patience = 0.0

    async def receive(self):
        if not self._called:
            self.note("something is received before the app is called", None)
        return as_sent(next(self._incoming, {"type": "http.disconnect"}))

    async def send(self, message):
        self.note("the server gets", as_told(message))
        self._arrived.release()


def as_sent(message):
    """A scope or message as ASGI has it: with bytes."""
    message = dict(message)
    if "headers" in message:
        message["headers"] = [(n.encode(), v.encode()) for n, v in message["headers"]]
    if "body" in message:
        message["body"] = message["body"].encode()
    if isinstance(message.get("client"), list):
        message["client"] = tuple(message["client"])
    return message


def as_told(value):
    """The same as plain data."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Mapping):
        return {str(key): as_told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_told(item) for item in value]
    return plain(value)


# -- several processes at one store


def shared(listeners, store, offsets, limiter="RedisWindow"):
    """Serve limiters of one store, in a process each, whose clocks are seconds off."""
    from archprep.worker.serve import serve_each

    serve_each(lambda number: Counter(store, offsets[number], limiter), listeners)


class Counter:
    """Answers a hit in JSON with a decision in JSON."""

    def __init__(self, store, offset, limiter):
        from redis.asyncio import Redis

        if offset:
            import time_machine

            time_machine.travel(time.time() + offset, tick=True).start()
        self._redis = Redis(unix_socket_path=store)
        self._limiter = limiter
        self._made = {}

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await asgi.live(receive, send)
            return
        body = await asgi.read_body(receive)
        try:
            said = await self._hit(**json.loads(body))
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001 - the judge is told
            said = {"broke": summarize(error)}
        await asgi.answer(send, 200, json.dumps(said).encode())

    async def _hit(self, prefix, ident, policies, cost):
        import ratelimit

        if prefix not in self._made:
            kind = getattr(ratelimit, self._limiter)
            self._made[prefix] = kind(self._redis, prefix=prefix)
        made = tuple(ratelimit.Policy(*fields) for fields in policies)
        decision = await self._made[prefix].hit(ident, made, cost)
        fields = ("allowed", "remaining", "reset_s", "retry_after")
        return {field: plain(getattr(decision, field, None)) for field in fields}
