"""Programs of requests for the middleware: how they are drawn, told, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archprep.grading.toolkit.sweep import Sweep

FREE = 90  # moments from this number on have no place among the others of their instant
NAMES = ("minute", "hour", "burst", "read-all", "bulk_write")
TIERS = ("gold", "basic", "trial")
ERRORS = ("ConnectionError", "TimeoutError", "OSError", "RedisError", "KeyError", "RuntimeError")
FEATURES = ("principals", "denied", "others", "own", "stream", "raises", "at once", "forms")
LATER = ("tiers", "exempt", "fails", "slow", "closed", "identify")  # features of task 4
OWN = ("ratelimit", "ratelimit-policy", "RateLimit", "RateLimit-Policy")
HAIR = 1 / 4096  # of a second, which is rounded up, too
THEIRS = ("x-serial", "ratelimit-reset", "x-ratelimit-policy")  # pass unchanged
OTHERS = ({"method": "OPTIONS"}, {"type": "websocket"}, {"type": "lifespan"})
HEADERS = (["authorization", "Bearer junk"], ["x-forwarded-for", "10.0.0.9"])
LATE = {"limiter_returns": True}
SLOW = ({}, LATE, {"limiter_ends_after": 4.0}, {"limiter_ends_after": 4.0} | LATE)
STATUSES = (200, 201, 404, 500, 503)
DEFAULT = {  # what a request has unless it says otherwise; the probe has the same
    "type": "http", "method": "GET", "principal": None, "headers": [], "app_headers": [],
    "app_status": 200, "limiter_allowed": True, "limiter_retry_after": 0, "limiter_takes": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class HttpSweep(Sweep):
    """Requests to the middleware; `only` are the beginnings of the moments that are compared."""

    only: Sequence[str] = ("",)
    timed: bool = True  # whether it matters when they happen

    # -- drawing

    def draw(self, rng, task):
        used = {f for f in FEATURES if rng.random() < 0.4}
        if task == 4:
            used |= {f for f in LATER if rng.random() < 0.5} or {"fails"}
        tiers = {"default": policies(rng)}
        if "tiers" in used:
            tiers |= {tier: policies(rng) for tier in rng.sample(TIERS, 2)}
        if "exempt" in used:
            tiers |= rng.choice([{}, {"basic": []}, {"default": []}])
            tiers = dict([*tiers.items()][rng.random() < 0.4 :])
        settings = {"on_store_error": "closed"} if "closed" in used else {}
        if {"slow", "fails"} & used and rng.random() < 0.7:
            settings["store_timeout_s"] = rng.choice([0.25, 0.5, 1.5])
        program = {"task": task, "tiers": tiers, "settings": settings, "requests": []}
        now = 0.0
        for _ in range(rng.randint(1, 5)):
            now += rng.choice([0.0, 0.125, 0.3]) if "at once" in used else 20.0
            program["requests"].append({"at": now} | draw_request(rng, used, program))
        return program

    def redraw(self, rng, program):
        tiers = {
            tier: [[name, *numbers(rng)] for name, *_ in policies]
            for tier, policies in program["tiers"].items()
        }
        requests = [redrawn(rng, r) for r in program["requests"]]
        return program | {"tiers": tiers, "requests": requests}

    # -- shrinking and telling

    def needs(self, program):
        words = {word for r in program["requests"] for word in r if word != "at"}
        later = words & {"limiter_raises", "identified_after"}
        if any(takes(r) > time_limit(program) for r in program["requests"]):
            later |= {"slow"}
        named = {r["principal"][1] for r in program["requests"] if r.get("principal")}
        if {*program["tiers"]} | named != {"default"} or [] in program["tiers"].values():
            later |= {"tiers"}
        return {2: words - later, 4: later}

    def valid(self, program):
        at, limit = [r["at"] for r in program["requests"]], time_limit(program)
        return bool(
            at
            and (program["task"] == 4 or not self.needs(program)[4])
            and at == sorted(at)
            and limit > 0
            and all(p[1:] > [0, 0] for tier in program["tiers"].values() for p in tier)
            and all(not 0.7 * limit < takes(r) < limit + 0.2 for r in program["requests"])
            and all(is_sound(program, DEFAULT | r) for r in program["requests"])
        )

    def tell(self, program):
        lines = [f"policies of {t}: {told_policies(ps)}" for t, ps in program["tiers"].items()]
        lines += [f"{name}={value!r}" for name, value in program["settings"].items()]
        for number, r in enumerate(program["requests"], start=1):
            lines.append(f"{number}. at {r['at']:g} s: {told(r, '')}")
            lines.append(f"   the limiter: {told(r, 'limiter_') or 'allows it'}")
            lines.append(f"   the app: {told(r, 'app_') or 'status=200'}")
        return lines

    def when(self, instant):
        return f"Request {instant[0] + 1:g}, at {instant[1]:g} s"

    # -- comparing

    def story(self, trace):
        """Of what is compared, the order within each request; what is free has a high number."""
        story, count = Counter(), Counter()
        for (number, time, place), text in trace.moments:
            if text.startswith(tuple(self.only)):
                count[number] += place < FREE
                when = time if self.timed else 0.0
                story[(number, when, count[number] if place < FREE else FREE), text] += 1
        return story

    def rule(self, program, difference):
        (number, *_), text = difference.first
        texts = [text, (difference.replaced_by or ((), ""))[1]]
        asks = next((t for t in texts if t.startswith("the limiter is asked")), "")
        done = {t for when, t in difference.expected if when[0] == number}
        again = texts[difference.is_missing] in done
        r = DEFAULT | program["requests"][int(number)]
        if takes(r) > time_limit(program) and texts[0] == texts[1]:
            return "4.3"  # the same, at another time
        return rule_of(program, r, asks or "; ".join(texts), again=again)


def rule_of(program, r, text, *, again):  # noqa: PLR0911 - a table, the first line that fits
    """The rule about what differs, given the request."""
    of_tier = bool(r["principal"]) and r["principal"][1] != "default"
    if r["type"] != "http" or r["method"] == "OPTIONS":
        return "2.1"
    if not asked(program, r):
        return "4.2"
    if text.startswith("the limiter is asked"):
        rule = "4.1" if of_tier else "2.3"
        return "2.3" if again else "2.2" if "about" in text else rule
    slow = takes(r) > time_limit(program)
    if slow and (
        "cancelled" in text
        or "for ever" in text
        or {"limiter_ends_after", "limiter_returns"} & {*r}
    ):
        return "4.3"
    if slow or "limiter_raises" in r:
        if "it raises" in text and "app_raises" not in r:
            return "4.3"
        return "4.5" if program["settings"].get("on_store_error") == "closed" else "4.4"
    if r.get("identified_after"):
        return "4.6"
    if text.startswith("ratelimit"):
        own = any(name in OWN for name, _ in r["app_headers"])
        return "2.5" if own else "2.4/app" if r["limiter_allowed"] else "2.4/refusal"
    if not r["limiter_allowed"]:
        return "2.7" if "the problem" in text else "2.6"
    return "2.9" if "app_raises" in r else "2.8"


def time_limit(program):
    return program["settings"].get("store_timeout_s", 0.25)


def takes(r):
    return r.get("limiter_takes", 0.0)


def asked(program, r):
    """The policies of a request."""
    default = program["tiers"].get("default", [])
    known = r.get("principal")
    return program["tiers"].get(known[1], default) if known else default


def is_sound(program, r):
    """Whether a request has what a probe needs, and a decision that a limiter could make."""
    names = [name for name, *_ in asked(program, r)]
    left = [r["limiter_numbers"][name][0] for name in names]
    pairs = [*r["app_headers"], *r["headers"], r["principal"] or "no"]
    return (
        all(len(pair) == 2 for pair in pairs)
        and r["app_status"] in STATUSES
        and len(names) == len({*names})
        and (r["limiter_allowed"] or not names or 0 in left)
        and r["limiter_retry_after"] >= 1 - r["limiter_allowed"]
    )


def numbers(rng):
    return rng.randint(2, 5000), rng.choice([1, 60, 90, 3600])


def policies(rng):
    return [[name, *numbers(rng)] for name in rng.sample(NAMES, rng.randint(1, 3))]


def draw_request(rng, used, program):
    made = {"client": rng.choice(["192.0.2.7", "2001:db8::1", "192.0.2.8", None])}
    if used & {"principals", "tiers", "exempt"} and rng.random() < 0.7:
        known = [*program["tiers"], "gold"] if used & {"tiers", "exempt"} else ["default"]
        made["principal"] = [rng.choice(["ann", "bob", "7", ""]), rng.choice(known)]
    if rng.random() < 0.5:
        made["headers"] = [rng.choice(HEADERS)]
    denied = "denied" in used and rng.random() < 0.5
    made |= draw_decision(rng, asked(program, made), denied=denied)
    made |= draw_outage(rng, used, time_limit(program)) | draw_app(rng, used)
    if "identify" in used:
        made["identified_after"] = rng.choice([0.75, 2.0])
    made["method"] = rng.choice(["GET", "GET", "POST", "HEAD", "DELETE"])
    return made | (rng.choice(OTHERS) if "others" in used and rng.random() < 0.4 else {})


def draw_decision(rng, policies, *, denied):
    """A limiter's answer, of numbers that follow from nothing else."""
    full = rng.sample(policies, rng.randint(1, len(policies))) if policies and denied else []
    left = {p[0]: 0 if p in full else rng.randint(denied, p[1]) for p in policies}
    reset = {p[0]: draw_reset(rng, 4 * p[2]) for p in policies}
    about = {"limiter_numbers": {name: [left[name], reset[name]] for name in left}}
    more = {"limiter_allowed": False, "limiter_retry_after": rng.randint(1, 900)}
    return about | (more if denied else {})


def draw_reset(rng, most):
    return rng.choice([0, rng.randint(1, most)]) / 4 + rng.choice([0.0, 0.0, HAIR])


def draw_outage(rng, used, limit):
    """Failures; what takes longer than the time limit by far, or is done well within it."""
    fails = "fails" in used and rng.random() < 0.5
    outage = {"limiter_raises": rng.choice(ERRORS)} if fails else {}
    if "slow" in used and rng.random() < 0.6:
        return outage | {"limiter_takes": limit + rng.choice([0.5, 8.0])} | rng.choice(SLOW)
    if used & {"at once", "slow"}:
        outage["limiter_takes"] = rng.choice([0.0, limit / 2])
    return outage


def draw_app(rng, used):
    app = {"app_status": rng.choice(STATUSES)}
    theirs = [rng.choice(THEIRS), rng.choice(["a1", "b2"])]
    app["app_headers"] = [theirs] if rng.random() < 0.5 else []
    if "own" in used and rng.random() < 0.6:
        app["app_headers"] += [[rng.choice(OWN), '"own";r=1']]
    if "stream" in used:
        app |= {"app_receives": rng.randint(0, 2), "app_pause": rng.choice([0.0, 1.0])}
        app["app_bodies"] = ["a", "b"][: rng.randint(0, 2)]
    if "forms" in used:
        app["app_form"] = rng.choice(["list", "tuple", "iterator", "missing"])
    if "raises" in used and rng.random() < 0.5:
        app |= {"app_raises": rng.randint(0, 3), "app_error": rng.choice(ERRORS)}
    return app


def redrawn(rng, r):
    """The same request with another principal, unless its id is empty, and other numbers."""
    new = dict(r)
    if r.get("principal") and r["principal"][0]:
        new["principal"] = [f"{r['principal'][0]}{rng.randrange(100)}", r["principal"][1]]
    new["limiter_numbers"] = {
        name: [left and rng.randint(1, 9999), rng.randint(0, 1000) + reset % 1]
        for name, (left, reset) in r["limiter_numbers"].items()
    }
    return new | ({"limiter_retry_after": rng.randint(1, 900)} if "limiter_allowed" in r else {})


def told(r, whose):
    """What a request says of the limiter, of the app, or of itself."""
    mine = {k: v for k, v in r.items() if k.startswith(whose)} if whose else {}
    if not whose:
        mine = {k: v for k, v in r.items() if "_" not in k[:8] and k != "at"}
    return ", ".join(f"{key.removeprefix(whose)}={value!r}" for key, value in mine.items())


def told_policies(policies):
    return ", ".join(f"{name} {limit} in {window} s" for name, limit, window in policies) or "none"
