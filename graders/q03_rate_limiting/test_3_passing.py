"""Task 3: what passes through the middleware, alone and at the same time."""

from __future__ import annotations

import hashlib
import re

from archprep.grading import assert_same, criterion, expect, fake, scenario
from archprep.grading.toolkit.barrier import Barrier

from .channels import Wire
from .site import Group, Site, World, play_all
from .telling import FIELDS, short, tell_decision, tell_request

AT_ONCE = 5
ONLY_LEFT = "(?:(?!r=[0-9]).)*r={}(?![0-9])(?:(?!r=[0-9]).)*"  # this one, and no other


# -- at the same time


@scenario
def together(candidate, rng):
    """Requests that are all in the app before the first of them is answered."""
    site, world, barrier = Site(rng), World(), Barrier(AT_ONCE)
    person = site.person()
    for name in rng.sample(["minute", "hour", "day", "burst", "steady", "peak"], AT_ONCE):
        limit = rng.randint(50, 5000)
        rule = site.rule(f"/{site.word()}", [[name, limit, rng.choice([10, 60, 3600]), None]])
        path = f"{rule['path']}/{site.token()}"
        case = site.case("GET", path, rule=rule, person=person, hold_visit=barrier)
        world.at_once.append(case)
    cases = world.at_once
    for case, left in zip(cases, rng.sample(range(49), AT_ONCE), strict=True):
        case.decision["remaining"] = {case.policies[0][0]: left}
    with candidate.serve("guard", seconds=20, world=fake(world), **site.inputs()) as web:
        calls = web.begin([case.request for case in cases])
        arrived = barrier.wait(3.0)
        barrier.release(rng.sample(range(arrived), arrived))
        barrier.open()
        for case, reply in zip(cases, calls.replies(), strict=True):
            case.reply = reply
    return cases, arrived


@criterion(
    "Requests at the same time: each response carries the decision on its own request",
    task=3,
    points=2,
    hint="concurrent",
)
def test_concurrent(together):
    cases, arrived = together
    given = f"{len(cases)} requests; the app answers when all of them have come to it"
    expect(
        arrived == len(cases),
        expected="requests are served at the same time",
        observed=f"{arrived} of {len(cases)} requests came to the app before one was answered; "
        f"{cases[-1].check().describe()}",
        given=given,
    )
    for case in cases:
        told = f"{tell_request(case)}; {tell_decision(case)}"
        reply = case.check(f"{told}; {len(cases) - 1} more at the same time")
        says = "a request is one hit: who asks again gets the numbers of a later moment"
        reply.called("the limiter", 1, says=says)
        ((name, left),) = case.decision["remaining"].items()
        says = f"the response to {case.request.path} says what was left of {name} after its own hit"
        reply.header("RateLimit", re.compile(ONLY_LEFT.format(left)), says=f"{says}: r={left}")


# -- what the app says, and what is not HTTP


@scenario
def passing(candidate, rng):
    return play_all(candidate, Site(rng), errors_and_bodies)


def errors_and_bodies(site):
    """Exceptions of the app, large and small bodies, fields that occur twice."""
    person, rule = site.person(), site.rule(f"/{site.word()}", site.policies())
    cases = []
    kinds = ["RuntimeError", "KeyError", "ValueError", "", "", "", ""]
    for kind, size in zip(kinds, [9, 0, 3000, 0, 9, 3000, 150_000], strict=True):
        body = site.rng.randbytes(size)
        where = f"{rule['path']}/{site.token()}"
        case = site.case("POST", where, rule=rule, person=person, body=body, kind=kind)
        case.answer["headers"] += [["set-cookie", f"{site.word()}={site.token()}"] for _ in "ab"]
        if kind:
            case.answer = {"raises": kind, "text": site.token()}
        cases.append(case)
    return Group(cases, judge_passing)


def judge_passing(case):
    size, digest = len(case.request.body), hashlib.sha256(case.request.body).hexdigest()
    does = f"raises {case.kind}" if case.kind else f"answers {case.answer['status']}"
    given = f"{tell_request(case)}, with a body of {size} bytes; the app {does}"
    reply = case.check(given)
    if case.kind:
        says = "an error of the app is answered as without the middleware"
        reply.status(500, says=says).called("the app", 1, says=says)
        reply.has(*FIELDS, says="the response to an error of the app has both fields, too")
        return
    arrived = [visit[:3] for visit in case.visits]
    expect(
        [list(visit) for visit in case.visits] == [["POST", case.request.path, size, digest]],
        expected="the request comes to the app once, with its body untouched",
        observed=f"{reply.describe()}, with [method, path, bytes]: {short(arrived)}",
        given=given,
    )
    answer = case.answer
    own = {name for name, _ in answer["headers"]}
    seen = [[name, value] for name, value in case.reply.headers if name in own]
    due = [answer["status"], answer["body"], answer["headers"]]
    assert_same(
        [case.reply.status, case.reply.body.decode("latin-1"), seen],
        due,
        says="status, body and header fields of the app reach the client",
        given=given,
    )


@scenario
def channels(candidate, rng):
    """Direct ASGI calls: websockets, lifespan, a streamed response, an app that raises."""
    site = Site(rng)
    site.rule("/", site.policies())
    wire = Wire(site, site.person())
    calls = [{"scope": call.scope, "steps": call.steps} for call in wire.calls]
    candidate.observe("pass_scopes", wire=fake(wire), calls=calls, **site.inputs())
    return wire


@criterion(
    "Websockets, lifespan, streams and errors of the app pass through",
    task=3,
    points=2,
    hint="pass-through",
)
def test_pass_through(channels, passing):
    for call in channels.calls:
        call.check()
    passing[errors_and_bodies].check()
