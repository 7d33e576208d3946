"""Task 4: whose policies apply, and what happens while the store is away."""

from __future__ import annotations

import re
import time

from archprep.errors import CandidateError
from archprep.grading import criterion, expect, fake, scenario, silent_door
from archprep.model import Reason

from .problems import judge_rule, read_problem
from .site import Group, Site, World, play_all
from .telling import (
    FIELDS,
    short,
    tell_decision,
    tell_field,
    tell_reply,
    tell_request,
    tell_rules,
    tell_visits,
)

GUARDS = {"open": {"on_store_error": "open"}, "closed": {"on_store_error": "closed"}}
STORE_ERRORS = "ConnectionError TimeoutError OSError RuntimeError ValueError KeyError".split()
APP_ERRORS = "ConnectionError TimeoutError RuntimeError".split()
ANSWERED = 2.0  # seconds, by the judge's clock, at a limit of 0.25
SLOW = 0.6  # seconds that something takes which must not be cut short


@scenario
def outages(candidate, rng):
    return play_all(candidate, Site(rng, guards=dict(GUARDS)), tiers, store_fails)


# -- tiers


def tiers(site):
    """Rules with and without policies for a tier, and somebody of each tier."""
    names = site.rng.sample(["free", "pro", "gold", "staff", "partner", "trial"], 4)
    known, exempt, other, unlisted = names
    base = site.policies(2)
    bigger = [[name, limit + site.rng.randint(1, 999), s, None] for name, limit, s, _ in base]
    before = len(site.rules)
    rules = [
        site.rule(f"/{site.word()}", {known: bigger, "default": base, exempt: []}, cost=2),
        site.rule(f"/{site.word()}", {"default": site.policies(1), other: site.policies(3)}),
        site.rule(f"/{site.word()}", {known: site.policies(), other: site.policies()}),
        site.rule(f"/{site.word()}", {known: [], exempt: site.policies(1)}),
    ]
    people = [site.person(tier) for tier in (*names, "default")]
    own = site.rules[before:]
    cases = []
    for rule in rules:
        for person in (*people, None):
            where = f"{rule['path']}/{site.token()}"
            guard = site.rng.choice([*GUARDS])
            case = site.case("GET", where, rule=rule, person=person, guard=guard)
            case.note = f'tier "{person.tier}"' if person else "identify() knows nobody"
            cases.append(case)
    assert unlisted not in {tier for rule in own for tier in rule["policies"]}

    def judge(case):
        judge_rule(case, f"{tell_rules(own)}\n{tell_request(case)}: {case.note}")

    return Group(cases, judge)


@criterion(
    "A tier has its own policies, else those of default, else no limit",
    task=4,
    points=3,
    hint="tiers",
)
def test_tiers(outages):
    outages[tiers].check()


# -- a limiter that raises


def store_fails(site):
    """Errors of the store and of the app, mixed with requests that go well."""
    person, rule = site.person(), site.rule(f"/{site.word()}", site.policies())
    cases = []
    for guard in GUARDS:
        for kind in ["store"] * 6 + ["app"] * 3 + ["both"] * 2 + ["allowed"] * 3 + ["denied"] * 2:
            case = site.case(
                site.rng.choice(["GET", "POST"]),
                f"{rule['path']}/{site.token()}",
                rule=rule,
                person=person,
                guard=guard,
                allowed=kind != "denied",
                status=site.rng.choice([200, 201, 404]),
                kind=kind,
            )
            if kind in {"store", "both"}:
                error = site.rng.choice(STORE_ERRORS)
                case.decision = {"raises": error, "text": site.token()}
            if kind in {"app", "both"}:
                error = site.rng.choice(APP_ERRORS)
                case.answer = {"raises": error, "text": site.token()}
            cases.append(case)
    return Group(cases, judge_outage)


def judge_outage(case):
    """What the client gets, and how often limiter and app were called."""
    given = tell_outage(case)
    expect(
        len(case.hits) == 1 or case.kind == "store hangs",  # there the limiter is the candidate's
        expected="one request is one hit, whatever comes of it",
        observed=f"the limiter was called {len(case.hits)} times; {tell_reply(case)}",
        given=given,
    )
    away = "raises" in case.decision or case.kind in {"hangs", "store hangs"}
    if away and case.guard == "closed":
        judge_closed(case, given)
        return
    app_called = away or case.allowed
    status = (500 if "raises" in case.answer else case.answer["status"]) if app_called else 429
    because = "no decision, and open: it goes to the app" if away else "the limiter has decided"
    expect(
        case.reply.status == status and len(case.visits) == app_called,
        expected=f"{because}. Here: status {status}, the app is called "
        + ("once" if app_called else "not at all"),
        observed=f"{tell_reply(case)}, {tell_visits(case)}",
        given=given,
    )
    if "body" in case.answer and app_called:
        expect(
            case.reply.body.decode("latin-1") == case.answer["body"],
            expected="the body is the app's",
            observed=f"the body is {short(case.reply.body)}",
            given=given,
        )
    judge_fields(case, given, there=not away)


def judge_closed(case, given):
    says = "no decision, and closed: the answer is a 503 and the app is not called"
    expect(
        case.reply.status == 503 and not case.visits,
        expected=says,
        observed=f"{tell_reply(case)}, {tell_visits(case)}",
        given=given,
    )
    retry_after = case.reply.header("Retry-After") or ""
    expect(
        re.fullmatch(r"[0-9]{1,9}", retry_after) is not None and int(retry_after) >= 1,
        expected="the 503 has a Retry-After: a whole number, at least 1",
        observed=tell_field(case, "Retry-After"),
        given=given,
    )
    status = read_problem(case, given).get("status")
    expect(
        type(status) is int and status == 503,
        expected='the body of the 503 has "status": 503',
        observed=f"status is {short(status)}",
        given=given,
    )
    judge_fields(case, given, there=False)


def judge_fields(case, given, *, there):
    """Whether the two fields are there: they tell of a decision, and of nothing else."""
    for name in FIELDS:
        expect(
            (case.reply.header(name) is not None) == there,
            expected=f"{name} is there, as the limiter has decided"
            if there
            else f"without a decision there is no {name}",
            observed=tell_field(case, name),
            given=given,
        )


def tell_outage(case):
    told = [f'on_store_error="{case.guard}"', tell_request(case)]
    away = {
        "hangs": "the limiter does not answer",
        "store hangs": "a RedisWindow's server does not",
    }
    told.append(away.get(case.kind) or tell_decision(case))
    if "raises" in case.answer:
        told.append(f"the app raises {case.answer['raises']}")
    return "; ".join(told)


@criterion(
    "A limiter that raises is an outage: open lets pass, closed says 503; an app's error is none",
    task=4,
    points=4,
    hint="store-fails",
)
def test_store_fails(outages):
    outages[store_fails].check()


# -- a limiter that does not answer


@scenario
def hangs(candidate, rng):
    """Limiters without an answer, slow ones within their time, and an app that takes its time."""
    settings = {
        "open": GUARDS["open"] | {"store_timeout_s": 0.25},
        "closed": GUARDS["closed"] | {"store_timeout_s": 0.25},
        "patient": GUARDS["closed"] | {"store_timeout_s": 30.0},
    }
    for mode in ("open", "closed"):
        settings[f"{mode} store"] = settings[mode] | {"store_limiter": True}
    site, world = Site(rng, guards=settings), World()
    person, cases = site.person(), world.at_once
    for kind, guard in (
        *[("hangs", mode) for mode in ("open", "open", "closed", "closed")],
        *[("store hangs", f"{mode} store") for mode in ("open", "closed")],
        *[("slow", "patient")] * 2,
        *[("slow app", mode) for mode in ("open", "closed")],
    ):
        limit = rng.randint(50, 5000)
        rule = site.rule(f"/{site.word()}", [[f"p{len(cases)}", limit, 60, None]])
        path = f"{rule['path']}/{site.token()}"
        allowed = kind == "slow app" or not cases[-1:] or cases[-1].kind != kind
        cases.append(
            site.case(
                "GET", path, rule=rule, person=person, guard=guard, kind=kind, allowed=allowed
            )
        )
    world.hold_hits, world.hold_visits = {"hangs", "store hangs", "slow"}, {"slow app"}
    order, late = rng.sample(cases, len(cases)), None
    with (
        silent_door() as door,
        candidate.serve("guard", seconds=20, world=fake(world), store=door, **site.inputs()) as web,
    ):
        calls = web.begin([case.request for case in order], seconds=ANSWERED)
        time.sleep(SLOW)
        for case, held in list(world.held.items()):
            if case.kind != "hangs":
                held.release(case.decision if case.kind == "slow" else case.answer)
        try:
            replies = calls.replies()
        except CandidateError as error:
            if error.reason is not Reason.TIMEOUT:
                raise
            late, replies = error.message, []
    for case, reply in zip(order, replies, strict=False):
        case.reply = reply
    return cases, late


@criterion(
    "A limiter that does not answer is an outage after store_timeout_s; a slow app is none",
    task=4,
    points=4,
    hint="store-hangs",
)
def test_store_hangs(hangs):
    cases, late = hangs
    expect(
        late is None,
        expected=f"an answer within {ANSWERED:g} s, with store_timeout_s=0.25, while the limiter, "
        "or the server behind a RedisWindow, does not answer at all",
        observed=f"{late}",
        given="\n".join(map(tell_outage, cases)),
    )
    for case in cases:
        case.guard = case.guard.removesuffix(" store")
        judge_outage(case)
