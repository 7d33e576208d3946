"""Programs of requests for the middleware: how they are drawn, told, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archprep.grading.toolkit.sweep import Sweep

FREE = 90  # moments from this number on have no place among the others of their instant
NAMES = ("minute", "hour", "burst", "read-all", "bulk_write")
TIERS = ("gold", "basic", "trial")
ERRORS = ("ConnectionError", "TimeoutError", "OSError", "RedisError", "KeyError", "RuntimeError")
FEATURES = ("principals", "denied", "others", "own", "stream", "raises", "at once", "forms")
LATER = ("tiers", "exempt", "fails", "slow", "closed", "identify")  # features of task 4
APP = {"receives": 0, "status": 200, "headers": [], "form": "list", "bodies": [], "pause": 0.0}
REQUEST = {"at", "type", "method", "client", "principal", "headers", "app", "limiter"}
OWN = ("ratelimit", "ratelimit-policy", "RateLimit", "RateLimit-Policy")
CLIENTS = ("192.0.2.7", "2001:db8::1", "192.0.2.8", None)


@dataclass(frozen=True)
class HttpSweep(Sweep):
    """Requests to the middleware; `only` are the beginnings of the moments that are compared."""

    only: Sequence[str] = ("",)
    timed: bool = True  # whether it matters when they happen

    plainer: ClassVar = {
        "method": ["GET"], "type": ["http"], "client": ["192.0.2.7"], "principal": [None],
        "form": ["list"], "status": [200], "pause": [0.0], "receives": [0], "takes": [0.0],
        "allowed": [True], "ends_after": [0.0], "retry_after": [1], "at": [0.0],
        "on_store_error": ["open"],
    }  # fmt: skip

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
        requests, now = [], 0.0
        for _ in range(rng.randint(1, 5)):
            now += rng.choice([0.0, 0.125, 0.3]) if "at once" in used else 20.0
            requests.append({"at": now} | draw_request(rng, used, tiers, settings))
        return {"task": task, "tiers": tiers, "settings": settings, "requests": requests}

    def redraw(self, rng, program):
        tiers = {
            tier: [[name, *numbers(rng)] for name, *_ in policies]
            for tier, policies in program["tiers"].items()
        }
        requests = []
        for r in program["requests"]:
            principal = r["principal"] and [redrawn_id(rng, r["principal"][0]), r["principal"][1]]
            limiter = dict(r["limiter"])
            limiter["numbers"] = {
                name: [left and rng.randint(1, 9999), rng.choice([0, rng.randint(1, 4000)]) / 4]
                for name, (left, _) in limiter["numbers"].items()
            }
            if not limiter["allowed"]:
                limiter["retry_after"] = rng.randint(1, 900)
            requests.append(r | {"principal": principal, "limiter": limiter})
        return program | {"tiers": tiers, "requests": requests}

    # -- shrinking and telling

    def needs(self, program):
        requests, limit = program["requests"], time_limit(program)
        limiters, apps = [r["limiter"] for r in requests], [r["app"] for r in requests]
        now = {
            "principals": any(r["principal"] for r in requests),
            "denied": not all(one["allowed"] for one in limiters),
            "others": any(r["type"] != "http" or r["method"] == "OPTIONS" for r in requests),
            "own fields": any(sends_own(app) for app in apps),
            "stream": any(app["bodies"] or app["receives"] for app in apps),
            "raises": any("raises" in app for app in apps),
            "forms": any(app["form"] != "list" for app in apps),
        }
        later = {
            "tiers": any(r["principal"] and r["principal"][1] != "default" for r in requests),
            "not limited": not all(program["tiers"].values()) or "default" not in program["tiers"],
            "fails": any("raises" in one for one in limiters),
            "slow": any(one.get("takes", 0) > limit for one in limiters),
            "slow identify": any(r.get("identified_after") for r in requests),
        }
        found = ({f for f, used in kind.items() if used} for kind in (now, later))
        return dict(zip((2, 4), found, strict=True))

    def valid(self, program):
        at, limit = [r["at"] for r in program["requests"]], time_limit(program)
        takes = [r["limiter"].get("takes", 0) for r in program["requests"]]
        policies = [p for tier in program["tiers"].values() for p in tier]
        later = self.needs(program)[4]
        return bool(
            at
            and (program.get("task") == 4 or not later)
            and at == sorted(at)
            and min(limit, at[0] + 1) > 0
            and all(0 <= t <= 0.7 * limit or t >= limit + 0.2 for t in takes)
            and all(len(p) == 3 and min(p[1:]) >= 1 for p in policies)
            and all(is_sound(program, r) for r in program["requests"])
        )

    def tell(self, program):
        lines = [f"policies of {t}: {told_policies(ps)}" for t, ps in program["tiers"].items()]
        lines += [f"{name}={value!r}" for name, value in program["settings"].items()]
        for number, r in enumerate(program["requests"], start=1):
            app = {k: v for k, v in r["app"].items() if v != APP.get(k)} or {"status": 200}
            about = {
                k: v
                for k, v in r.items()
                if k not in {"at", "app", "limiter"} and v not in ("http", [])
            }
            lines.append(f"{number}. at {r['at']:g} s: {told(about)}")
            lines += [f"   the limiter: {told(r['limiter'])}", f"   the app: {told(app)}"]
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
        both = asks or "; ".join(texts)
        return rule_of(program, program["requests"][int(number)], both, again=again)


def rule_of(program, r, text, *, again):  # noqa: PLR0911 - a table, the first line that fits
    """The rule about what differs, given the request."""
    limiter, app = r["limiter"], r["app"]
    of_tier = bool(r["principal"]) and r["principal"][1] != "default"
    if r["type"] != "http" or r["method"] == "OPTIONS":
        return "2.1"
    if not asked(program, r):
        return "4.2"
    if text.startswith("the limiter is asked"):
        rule = "4.1" if of_tier else "2.3"
        return "2.3" if again else "2.2" if "about" in text else rule
    slow = limiter.get("takes", 0) > time_limit(program)
    if slow and ("cancelled" in text or "for ever" in text or limiter.get("ends_after")):
        return "4.3"
    if slow or "raises" in limiter:
        if "it raises" in text and "raises" not in app:
            return "4.3"
        return "4.5" if program["settings"].get("on_store_error") == "closed" else "4.4"
    if r.get("identified_after"):
        return "4.6"
    if text.startswith("ratelimit"):
        return "2.5" if sends_own(app) else "2.4/app" if limiter["allowed"] else "2.4/refusal"
    if not limiter["allowed"]:
        return "2.7" if "the problem" in text else "2.6"
    return "2.9" if "raises" in app else "2.8"


def time_limit(program):
    return program["settings"].get("store_timeout_s", 0.25)


def sends_own(app):
    """Whether the app has header fields of the two names."""
    return any("ratelimit" in name.lower() for name, _ in app["headers"])


def asked(program, r):
    """The policies of a request."""
    default = program["tiers"].get("default", [])
    return program["tiers"].get(r["principal"][1], default) if r["principal"] else default


def is_sound(program, r):
    """Whether a request has what a probe needs, and a decision that a limiter could make."""
    limiter, app, names = r["limiter"], r["app"], {p[0] for p in asked(program, r)}
    none_left = any(limiter["numbers"][name][0] == 0 for name in names)
    pairs = [*app["headers"], *r["headers"], *([r["principal"]] if r["principal"] else [])]
    return (
        {*APP} <= {*app}
        and all(len(pair) == 2 for pair in pairs)
        and {*REQUEST} <= {*r}
        and ("error" in app) == ("raises" in app)
        and app["status"] >= 200
        and len(names) == len(asked(program, r))
        and (limiter["allowed"] or not names or none_left)
        and limiter["retry_after"] >= 1 - limiter["allowed"]
    )


def redrawn_id(rng, known):
    """Another id; an empty one stays so."""
    return known and f"{known}{rng.randrange(100)}"


def numbers(rng):
    return rng.randint(2, 5000), rng.choice([1, 60, 90, 3600])


def policies(rng):
    return [[name, *numbers(rng)] for name in rng.sample(NAMES, rng.randint(1, 3))]


def draw_request(rng, used, tiers, settings):
    made = {
        "type": "http",
        "client": rng.choice(CLIENTS),
        "principal": None,
        "app": draw_app(rng, used),
    }
    if used & {"principals", "tiers", "exempt"} and rng.random() < 0.7:
        known = [*tiers, "gold"] if used & {"tiers", "exempt"} else ["default"]
        made["principal"] = [rng.choice(["ann", "bob", "7", ""]), rng.choice(known)]
    made["headers"] = rng.choice(
        [[], [], [["authorization", "Bearer junk"]], [["x-forwarded-for", "10.0.0.9"]]]
    )
    allowed = "denied" not in used or rng.random() < 0.5
    made["limiter"] = draw_decision(rng, asked({"tiers": tiers}, made), allowed=allowed)
    made["limiter"] |= draw_outage(rng, used, settings.get("store_timeout_s", 0.25))
    if "identify" in used:
        made["identified_after"] = rng.choice([0.0, 0.75, 2.0])
    made["method"] = rng.choice(["GET", "GET", "POST", "HEAD", "DELETE"])
    if "others" in used and rng.random() < 0.4:
        made |= rng.choice([{"method": "OPTIONS"}, {"type": "websocket"}, {"type": "lifespan"}])
    return made


def draw_decision(rng, policies, *, allowed):
    """A limiter's answer, of numbers that follow from nothing else."""
    full = rng.sample(policies, rng.randint(1, len(policies))) if policies and not allowed else []
    left = {p[0]: 0 if p in full else rng.randint(1 - allowed, p[1]) for p in policies}
    reset = {p[0]: rng.choice([0, rng.randint(1, 4 * p[2])]) / 4 for p in policies}
    about = {"allowed": allowed, "retry_after": 0 if allowed else rng.randint(1, 900)}
    return about | {"numbers": {name: [left[name], reset[name]] for name in left}}


def draw_outage(rng, used, limit):
    """Failures; what takes longer than the time limit by far, or is done well within it."""
    outage = {"raises": rng.choice(ERRORS)} if "fails" in used and rng.random() < 0.5 else {}
    if "slow" in used and rng.random() < 0.6:
        ways = ({}, {"ends_after": 4.0}, {"ends_after": 4.0, "returns": True})
        return outage | {"takes": limit + rng.choice([0.5, 8.0])} | rng.choice(ways)
    return outage | ({"takes": rng.choice([0.0, limit / 2])} if used & {"at once", "slow"} else {})


def draw_app(rng, used):
    app = APP | {"status": rng.choice([200, 201, 404, 503, 500])}
    app["headers"] = [["x-serial", rng.choice(["a1", "b2"])]] if rng.random() < 0.5 else []
    if "own" in used and rng.random() < 0.6:
        app["headers"] += [[rng.choice(OWN), '"own";r=1']]
    if "stream" in used:
        app |= {"receives": rng.randint(0, 2), "pause": rng.choice([0.0, 1.0])}
        app["bodies"] = ["a", "b"][: rng.randint(0, 2)]
    if "forms" in used:
        app["form"] = rng.choice(["list", "tuple", "iterator", "missing"])
    if "raises" in used and rng.random() < 0.5:
        app |= {"raises": rng.randint(0, 3), "error": rng.choice(ERRORS)}
    return app


def told(about):
    return ", ".join(f"{key}={value!r}" for key, value in about.items())


def told_policies(policies):
    return (
        ", ".join(f"{name} {limit} in {window_s} s" for name, limit, window_s in policies) or "none"
    )
