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
DEFAULT = {  # what a request has unless the program says otherwise
    "type": "http", "method": "GET", "client": "192.0.2.7", "principal": None, "headers": [],
    "identified_after": 0, "limiter_allowed": True, "limiter_retry_after": 0, "limiter_takes": 0,
    "limiter_ends_after": 0, "app_receives": 0, "app_status": 200, "app_headers": [],
    "app_form": "list", "app_bodies": [], "app_pause": 0, "app_error": "RuntimeError",
}  # fmt: skip

current = ContextVar("current")


def play_http(program):
    loop = VirtualLoop(until=10_000.0, expected=is_scripted)
    site = Site(program, loop)
    stuck = loop.play(site.play())
    broke = loop.crash()
    if isinstance(broke, NotImplementedError) or (broke and stuck):
        raise broke
    if stuck:
        last = [len(program["requests"]), 0.0, 0]
        site.moments.append([last, f"the middleware {stuck} for ever"])
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
            tasks.append(asyncio.create_task(Call(self, number, DEFAULT | plan).play()))
        await asyncio.wait(tasks)
        await asyncio.sleep(SETTLE)


class Call:
    """One request, and both of its ends."""

    def __init__(self, site, number, plan):
        self.site, self.number, self.plan = site, number, plan
        self.count = self.hits = self.received = 0
        self.called, self.status, self.body = False, None, b""
        self.scope = {"type": plan["type"], "path": "/items", "headers": encoded(plan["headers"])}
        self.scope["state"] = {"n": number}
        if plan["type"] == "http":
            self.scope["method"] = plan["method"]
        if plan["type"] != "lifespan":
            self.scope["client"] = plan["client"] and (plan["client"], 4711)
        self.sent = copy.deepcopy(self.scope)

    def note(self, text, *, order=None):
        self.count += 1
        now = round(self.site.loop.time(), 6)
        self.site.moments.append([[self.number, now, order or self.count], text])

    async def play(self):
        current.set(self)
        try:
            await self.site.guard(self.scope, self.receive, self.send)
            self.note("it returns")
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001 - the trace tells
            scripted = is_scripted(error)
            self.note(f"it raises {type(error).__name__ if scripted else summarize(error)}")
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
        self.status = message["status"]
        pairs = [
            (bytes(n).decode().lower(), bytes(v).decode()) for n, v in message.get("headers") or ()
        ]
        others = [pair for pair in pairs if pair[0] not in FIELDS]
        shown = others if self.called else refusal(dict(others), self.status).items()
        self.note(f"the response starts: {self.status} {'; '.join(map(': '.join, sorted(shown)))}")
        if self.called and message.get("trailers") is not False:
            self.note("a message of the app has lost what else it said")
        for field in FIELDS:
            values = ", ".join(value for name, value in pairs if name == field)
            self.note(f"{field}: {', '.join(values.replace(',', ' ').split()) or 'absent'}")

    def problem(self):
        """The problem document: its title is free, and so are other members."""
        try:
            members = json.loads(self.body)
            title = isinstance(members.get("title"), str) or self.status == 503
            keys = ("status",) if self.status == 503 else ("type", "status", "violated-policies")
            shown = {key: members.get(key) for key in keys} | ({} if title else {"title": None})
            self.note(f"the problem is {json.dumps(shown)}")
        except (ValueError, AttributeError):
            self.note(f"the body is {self.body[:200]!r}")


class Limiter:
    """Decides as each request's plan says; a second hit of one request gets other numbers."""

    async def hit(self, ident, policies, cost=1):
        import ratelimit

        call, asked = current.get(), [(p.name, p.limit, p.window_s) for p in policies]
        plan, more = call.plan, 3 * call.hits
        call.hits += 1
        of = ", ".join("{} {} in {} s".format(*one) for one in asked)
        call.note(f"the limiter is asked about {ident!r}")
        call.note(f"the limiter is asked for {cost} of [{of}]")
        try:
            await asyncio.sleep(plan["limiter_takes"])
        except asyncio.CancelledError:
            call.note("the hit is cancelled", order=LAST)
            if plan["limiter_ends_after"]:
                await asyncio.sleep(plan["limiter_ends_after"])
            if "limiter_returns" not in plan:
                raise
        if "limiter_raises" in plan:
            raise scripted_error(plan["limiter_raises"], "away")
        numbers = {name: plan["limiter_numbers"].get(name, [0, 0]) for name, *_ in asked}
        return ratelimit.Decision(
            allowed=plan["limiter_allowed"],
            remaining={name: left + more for name, (left, _) in [*numbers.items()][::-1]},
            reset_s={name: reset + more for name, (_, reset) in numbers.items()},
            retry_after=plan["limiter_retry_after"] + more,
        )


async def identify(_):
    import ratelimit

    plan = current.get().plan
    await asyncio.sleep(plan["identified_after"])
    return ratelimit.Principal(*plan["principal"]) if plan["principal"] else None


async def app(scope, receive, send):
    """Answer as the plan of the request says."""
    call = current.get()
    plan, call.called = call.plan, True
    call.note("the app is called")
    if {**scope} != call.sent:
        call.note(f"the scope is another one: {plain(scope)}")
    for _ in range(plan["app_receives"]):
        call.note(f"the app receives {plain(await receive())}")
    messages = response(call, plan) if plan["type"] == "http" else [{"type": "other", "n": 1}]
    for number, message in enumerate(messages):
        if plan.get("app_raises") == number:
            raise scripted_error(plan["app_error"])
        await asyncio.sleep(plan["app_pause"])
        before = kept(message)
        await send(message)
        if kept(message) != before:
            call.note("a message of the app was modified")
    if plan.get("app_raises", -1) >= len(messages):
        raise scripted_error(plan["app_error"])


def response(call, plan):
    """The messages; equal responses of a site start with one and the same object."""
    pairs, form = encoded(plan["app_headers"]), plan["app_form"]
    start = {"type": "http.response.start", "status": plan["app_status"], "trailers": False}
    if form != "missing":
        start["headers"] = {"list": list, "tuple": tuple, "iterator": iter}[form](pairs)
    if form != "iterator":
        start = call.site.starts.setdefault(repr(start), start)
    body = {"type": "http.response.body"}
    bodies = [body | {"body": b.encode(), "more_body": True} for b in plan["app_bodies"]]
    return [start, *bodies, body | {"body": b""}]


def refusal(headers, status):
    """What matters of a response that the app has not sent: what else it says is free."""
    shown = {"content-type": headers.get("content-type", "").partition(";")[0]}
    if "retry-after" in headers:
        after = headers["retry-after"]
        some = status == 503 and after.strip("0").isdigit()
        shown["retry-after"] = "a number" if some else after
    return shown


def encoded(pairs):
    return [(name.encode(), value.encode()) for name, value in pairs]


def kept(message):
    """A copy to compare with; an iterator can only be looked at once."""
    return {
        k: v if k == "headers" and not isinstance(v, list | tuple) else copy.copy(v)
        for k, v in message.items()
    }


def told(message):
    return ", ".join(f"{key} {plain(value)}" for key, value in message.items() if key != "type")
