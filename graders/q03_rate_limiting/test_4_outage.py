"""Task 4: whose policies apply, and what happens while the store is away."""

from __future__ import annotations

import time

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import criterion, expect, fake, scenario, silent_endpoint
from archprep.grading.toolkit.barrier import Barrier

from .rules import judge_rule
from .site import Group, Site, World, play_all
from .telling import FIELDS, tell_decision, tell_request, tell_rules

GUARDS = {"open": {"on_store_error": "open"}, "closed": {"on_store_error": "closed"}}
SILENT = {"hangs": "the limiter", "store hangs": "the server behind a RedisWindow"}
BRIEF = {"store_timeout_s": 0.25}
UNDECIDED = "without a decision there are no RateLimit fields"
STORE_ERRORS = "ConnectionError TimeoutError OSError RuntimeError ValueError KeyError".split()
APP_ERRORS = "ConnectionError TimeoutError RuntimeError".split()
ANSWERED = 2.0  # seconds, by the judge's clock, at a limit of 0.25
PATIENCE = 4.0  # seconds that the judge waits for an answer
SLOW = 0.6  # seconds that something takes which must not be cut short


@scenario
def outages(candidate, rng):
    return play_all(candidate, Site(rng, guards={"main": {}, **GUARDS}), tiers, store_fails)


# -- tiers


def tiers(site):
    """Rules with and without policies for a tier, and somebody of each tier."""
    names = site.rng.sample(["free", "pro", "gold", "staff", "partner", "trial"], 4)
    known, exempt, other, _ = names
    base = site.policies(2)
    bigger = [[name, limit + site.rng.randint(1, 999), s, None] for name, limit, s, _ in base]
    rules = [
        site.rule(f"/{site.word()}", {known: bigger, "default": base, exempt: []}, cost=2),
        site.rule(f"/{site.word()}", {"default": site.policies(1), other: site.policies(3)}),
        site.rule(f"/{site.word()}", {known: site.policies(), other: site.policies()}),
        site.rule(f"/{site.word()}", {known: [], exempt: site.policies(1)}),
    ]
    people = [site.person(tier) for tier in (*names, "default")]
    cases = []
    for rule in rules:
        for person in (*people, None):
            case = site.case("GET", f"{rule['path']}/{site.token()}", rule=rule, person=person)
            who = "nobody known" if person is None else f"{person.id}, {person.tier}"
            case.note = f"{who}: {tell_tier(rule, person.tier if person else 'default')}"
            cases.append(case)

    def judge(case):
        near = [rule for rule in rules if rule["path"] in case.request.path]
        judge_rule(case, f"{tell_rules(near)}\n{tell_request(case)}")

    return Group(cases, judge)


def tell_tier(rule, tier):
    """Which policies apply, and why."""
    policies = rule["policies"]
    if tier in policies:
        return f"the rule has policies for {tier}" + ("" if policies[tier] else ", none at all")
    if "default" in policies:
        return f"the rule has nothing for {tier}, so default applies"
    return f"the rule has nothing for {tier}" + " and no default" * (tier != "default")


@criterion(
    "A tier has its own policies, else those of default, else no limit",
    task=4,
    points=2,
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
        for kind in ["store"] * 6 + ["app"] * 3 + ["both"] * 2 + ["allowed"] * 4:
            case = site.case(
                site.rng.choice(["GET", "POST"]),
                f"{rule['path']}/{site.token()}",
                rule=rule,
                person=person,
                guard=guard,
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
    away = "raises" in case.decision or case.kind == "hangs"
    says = "one request is one hit, also when there is no decision"
    case.check(tell_outage(case)).called("the limiter", 1, at_least=not away, says=says)
    if away and case.guard == "closed":
        judge_closed(case)
    else:
        judge_served(case, away=away)


def judge_served(case, *, away):
    """The app answers, once; without a decision there is none to tell of."""
    reply = case.check(tell_outage(case))
    status = 500 if "raises" in case.answer else case.answer["status"]
    because = "no decision, and open" if away else "the limiter allows it"
    says = f"{because}: the app is called once, and its answer reaches the client"
    reply.status(status, says=says).called("the app", 1, says=says)
    if "body" in case.answer:
        reply.text(case.answer["body"], says="the body is the app's")
    if away:
        reply.lacks(*FIELDS, says=UNDECIDED)


def judge_closed(case):
    reply = case.check(tell_outage(case))
    says = "no decision, and closed: the answer is a 503 and the app is not called"
    reply.status(503, says=says).called("the app", 0, says=says)
    reply.retry_after().problem({"status": 503}).lacks(*FIELDS, says=UNDECIDED)


def tell_outage(case):
    told = [f'on_store_error="{case.guard.partition(" ")[0]}"', tell_request(case)]
    silent = SILENT.get(case.kind)
    told.append(f"{silent} does not answer" if silent else tell_decision(case))
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


@scenario(waits=True)
def hangs(candidate, rng):
    """Limiters without an answer, slow ones within their time, and an app that takes its time."""
    patient = {"store_timeout_s": 30.0}
    plan = {  # by guard: what it meets, how often, and its settings
        "open": ("hangs", 2, BRIEF),
        "closed": ("hangs", 2, BRIEF),
        # Open, so that a decision that a busy machine delays changes nothing.
        "open app": ("slow app", 2, BRIEF),
        "open patient": ("slow", 1, patient),
        "closed patient": ("slow", 1, patient),
        "open store": ("store hangs", 1, {**BRIEF, "store_limiter": True}),
        "closed store": ("store hangs", 1, {**BRIEF, "store_limiter": True}),
    }
    modes = {name: GUARDS[name.partition(" ")[0]] for name in plan}
    site = Site(rng, guards={name: modes[name] | plan[name][2] for name in plan})
    person, world = site.person(), World()
    never, slow = Barrier(), Barrier()
    holds = {
        "hangs": {"hold_hit": never},
        "store hangs": {"hold_hit": never},
        "slow": {"hold_hit": slow},
        "slow app": {"hold_visit": slow},
    }
    for guard, (kind, times, _) in plan.items():
        for number in range(times):
            limit, where = rng.randint(50, 5000), f"/{site.word()}"
            rule = site.rule(where, [[f"{guard.replace(' ', '-')}{number}", limit, 60, None]])
            below = f"{where}/{site.token()}"
            more = {"guard": guard, "kind": kind, **holds[kind]}
            world.at_once.append(site.case("GET", below, rule=rule, person=person, **more))
    cases, late, replies = rng.sample(world.at_once, len(world.at_once)), None, []
    with (
        silent_endpoint() as door,
        candidate.serve("guard", seconds=20, world=fake(world), store=door, **site.inputs()) as web,
    ):
        calls = web.begin([case.request for case in cases], seconds=PATIENCE)
        time.sleep(SLOW)
        slow.open()
        try:
            replies = calls.replies()
        except CandidateError as error:
            if error.reason is not Reason.TIMEOUT:
                raise
            late = error.message
    for case, reply in zip(cases, replies, strict=False):
        case.reply, case.guard = reply, case.guard.partition(" ")[0]
    return cases, late


@criterion(
    "A limiter that does not answer is an outage after store_timeout_s; a slow app is none",
    task=4,
    points=4,
    hint="store-hangs",
)
def test_store_hangs(hangs):
    cases, late = hangs
    silent = [case for case in cases if "hangs" in case.kind]
    named = [case for case in silent if case.request.path in (late or "")]
    expect(
        late is None,
        expected=f"an answer within {ANSWERED:g} s, with store_timeout_s=0.25, while the limiter, "
        "or the server behind a RedisWindow, does not answer at all",
        observed=f"{late}",
        given="\n".join(map(tell_outage, named or silent)),
    )
    for case in cases:
        expect(
            "hangs" not in case.kind or case.reply.seconds < ANSWERED,
            expected=f"an answer within {ANSWERED:g} s, with store_timeout_s=0.25",
            observed=f"the answer came after {case.reply.seconds:.2f} s",
            given=tell_outage(case),
        )
        if case.kind != "store hangs":
            judge_outage(case)
        elif all(case.reply.header(name) is None for name in FIELDS):  # else it has decided
            judge_store(case)


def judge_store(case):
    """The limiter is the candidate's own, its server the judge's."""
    if case.guard == "closed":
        judge_closed(case)
    else:
        judge_served(case, away=True)
