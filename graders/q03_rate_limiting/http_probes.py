"""Plays programs on the candidate's middleware: requests over ASGI, in virtual time.

Limiter, app and server are scripted. They note what comes to them, and when; nothing here knows
what is right.
"""

from __future__ import annotations

import asyncio
import copy
import json
from contextvars import ContextVar

from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import is_scripted, scripted_error, summarize
from archprep.worker.virtual_loop import VirtualLoop

SETTLE = 30.0  # virtual seconds after the last request
LAST = 90  # the number of a moment whose place among others is free
FIELDS = ("ratelimit", "ratelimit-policy")
JSON = "application/problem+json"

current = ContextVar("current")


def play_http(program):
    loop = VirtualLoop(until=10_000.0, expected=is_scripted)
    site = Site(program, loop)
    stuck = loop.play(site.play())
    broke = loop.crash()
    if isinstance(broke, NotImplementedError) or (broke and stuck):
        raise broke
    if stuck:
        site.moments.append(
            [[len(program["requests"]), 0.0, 0], f"the middleware {stuck} for ever"]
        )
    loop.close()
    return {"moments": site.moments}


class Site:
    """The middleware between a scripted limiter and a scripted app."""

    def __init__(self, program, loop):
        import ratelimit

        tiers = {
            tier: tuple(ratelimit.Policy(*fields, burst=7) for fields in policies)
            for tier, policies in program["tiers"].items()
        }
        self.program, self.loop, self.moments = program, loop, []
        self.starts = {}  # the message with which a response starts, by its text: used again
        self.guard = ratelimit.RateLimitMiddleware(
            app, limiter=Limiter(), identify=identify, tiers=tiers, **program["settings"]
        )

    async def play(self):
        tasks = []
        for number, plan in enumerate(self.program["requests"]):
            await asyncio.sleep(plan["at"] - self.loop.time())
            tasks.append(asyncio.create_task(Call(self, number, plan).play()))
        await asyncio.wait(tasks)
        await asyncio.sleep(SETTLE)


class Call:
    """One request, and both of its ends."""

    def __init__(self, site, number, plan):
        self.site, self.number, self.plan = site, number, plan
        self.count = self.hits = self.received = 0
        self.called, self.status, self.body = False, None, b""
        headers = [(name.encode(), value.encode()) for name, value in plan["headers"]]
        self.scope = {"type": plan["type"], "path": "/items", "headers": headers}
        self.scope["state"] = {"n": number}
        if plan["type"] == "http":
            self.scope["method"] = plan["method"]
        if plan["type"] != "lifespan":
            self.scope["client"] = plan["client"] and (plan["client"], 4711)
        self.sent = copy.deepcopy(self.scope)

    def note(self, text, *, order=None):
        self.count += 1
        now = round(self.site.loop.time(), 6)
        place = self.count if order is None else order
        self.site.moments.append([[self.number, now, place], text])

    async def play(self):
        current.set(self)
        try:
            await self.site.guard(self.scope, self.receive, self.send)
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001 - the trace tells
            scripted = is_scripted(error)
            self.note(f"it raises {type(error).__name__ if scripted else summarize(error)}")
        else:
            self.note("it returns")
        if self.scope != self.sent:
            self.note("the scope was modified")

    async def receive(self):
        self.received += 1
        if not self.called:
            self.note("something is received before the app asks")
        return {"type": f"{self.plan['type']}.request", "number": self.received}

    async def send(self, message):
        await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            self.start(message)
        elif self.called:
            self.note(f"the client gets {told(message)}")
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body") and self.plan["method"] != "HEAD":
                self.problem()

    def start(self, message):
        pairs = [
            (bytes(n).decode().lower(), bytes(v).decode()) for n, v in message.get("headers") or ()
        ]
        own = {name: value for name, value in pairs if name not in FIELDS}
        if not self.called:  # what else the refusal says is free
            own = {k: v for k, v in own.items() if k in {"retry-after", "content-type"}}
            own["content-type"] = own.get("content-type", "").partition(";")[0]
            if message["status"] == 503 and own.get("retry-after", "").strip("0").isdigit():
                own["retry-after"] = "a number"
        shown = own.items() if not self.called else [p for p in pairs if p[0] not in FIELDS]
        self.status = message["status"]
        self.note(
            f"the response starts: {self.status} {'; '.join(': '.join(p) for p in sorted(shown))}"
        )
        for field in FIELDS:
            values = [value for name, value in pairs if name == field]
            self.note(
                f"{field}: {', '.join(', '.join(values).replace(',', ' ').split()) or 'absent'}"
            )

    def problem(self):
        """The problem document: its title is free, and so are other members."""
        try:
            members = json.loads(self.body)
            title = isinstance(members.get("title"), str) or self.status == 503
            keys = ("status",) if self.status == 503 else ("type", "status", "violated-policies")
            told = {key: members.get(key) for key in keys} | ({} if title else {"title": None})
            self.note(f"the problem is {json.dumps(told)}")
        except (ValueError, AttributeError):
            self.note(f"the body is {self.body[:200]!r}")


class Limiter:
    """Decides as each request's plan says; a second hit of one request gets other numbers."""

    async def hit(self, ident, policies, cost=1):
        import ratelimit

        call, asked = current.get(), [(p.name, p.limit, p.window_s) for p in policies]
        plan = call.plan["limiter"]
        call.hits += 1
        of = ", ".join("{} {} in {} s".format(*one) for one in asked)
        call.note(f"the limiter is asked about {ident!r}")
        call.note(f"the limiter is asked for {cost} of [{of}]")
        try:
            await asyncio.sleep(plan.get("takes", 0))
        except asyncio.CancelledError:
            call.note("the hit is cancelled", order=LAST)
            await asyncio.sleep(plan.get("ends_after", 0))
            if "returns" not in plan:
                raise
        if "raises" in plan:
            raise scripted_error(plan["raises"], "away")
        more = 3 * (call.hits - 1)
        numbers = plan["numbers"]
        return ratelimit.Decision(
            allowed=plan["allowed"],
            remaining={name: numbers.get(name, [0, 0])[0] + more for name, *_ in reversed(asked)},
            reset_s={name: numbers.get(name, [0, 0])[1] + more for name, *_ in asked},
            retry_after=plan["retry_after"] + more,
        )


async def identify(_):
    import ratelimit

    plan = current.get().plan
    await asyncio.sleep(plan.get("identified_after", 0))
    return ratelimit.Principal(*plan["principal"]) if plan["principal"] else None


async def app(scope, receive, send):
    """Answer as the plan of the request says."""
    call = current.get()
    plan, call.called = call.plan["app"], True
    call.note("the app is called")
    if {**scope} != call.sent:
        call.note(f"the scope is another one: {plain(scope)}")
    for _ in range(plan["receives"]):
        call.note(f"the app receives {plain(await receive())}")
    messages = response(call, plan) if call.plan["type"] == "http" else [{"type": "other", "n": 1}]
    for number, message in enumerate(messages):
        if plan.get("raises") == number:
            raise scripted_error(plan["error"])
        await asyncio.sleep(plan["pause"])
        before = kept(message)
        await send(message)
        if kept(message) != before:
            call.note("a message of the app was modified")
    if plan.get("raises", -1) >= len(messages):
        raise scripted_error(plan["error"])


def response(call, plan):
    """The messages; equal responses of a site start with one and the same object."""
    pairs = [(name.encode(), value.encode()) for name, value in plan["headers"]]
    start = {"type": "http.response.start", "status": plan["status"]}
    if plan["form"] != "missing":
        start["headers"] = {"list": list, "tuple": tuple, "iterator": iter}[plan["form"]](pairs)
    if plan["form"] != "iterator":
        start = call.site.starts.setdefault(repr(start), start)
    bodies = [
        {"type": "http.response.body", "body": b.encode(), "more_body": True}
        for b in plan["bodies"]
    ]
    return [start, *bodies, {"type": "http.response.body", "body": b""}]


def kept(message):
    """A copy to compare with; an iterator can only be looked at once."""
    return {
        k: v if k == "headers" and not isinstance(v, list | tuple) else copy.copy(v)
        for k, v in message.items()
    }


def told(message):
    return ", ".join(f"{key} {plain(value)}" for key, value in message.items() if key != "type")
