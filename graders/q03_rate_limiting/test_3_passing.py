"""Task 3: what passes through the middleware, alone and at the same time."""

from __future__ import annotations

import hashlib
import re

from archprep.grading import assert_same, criterion, expect, fake, scenario

from .channels import Wire
from .site import Group, Site, World, await_held, play_all, release
from .telling import FIELDS, short, tell_decision, tell_field, tell_reply, tell_request, tell_visits

AT_ONCE = 5


# -- at the same time


@scenario
def together(candidate, rng):
    """Requests that are all in the app before the first of them is answered."""
    site, world = Site(rng), World()
    person = site.person()
    for name in rng.sample(["minute", "hour", "day", "burst", "steady", "peak"], AT_ONCE):
        limit = rng.randint(50, 5000)
        rule = site.rule(f"/{site.word()}", [[name, limit, rng.choice([10, 60, 3600]), None]])
        path = f"{rule['path']}/{site.token()}"
        world.at_once.append(site.case("GET", path, rule=rule, person=person, kind="held"))
    cases = world.at_once
    for case, left in zip(cases, rng.sample(range(49), AT_ONCE), strict=True):
        case.decision["remaining"] = {case.policies[0][0]: left}
    world.hold_visits = {"held"}
    with candidate.serve("guard", seconds=20, world=fake(world), **site.inputs()) as web:
        calls = web.begin([case.request for case in cases])
        arrived = await_held(world, AT_ONCE, 3.0)
        for case in rng.sample(arrived, len(arrived)):
            world.held[case].release(case.answer)
        release(world, "held")
        for case, reply in zip(cases, calls.replies(), strict=True):
            case.reply = reply
    return cases, len(arrived)


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
        f"{tell_reply(cases[-1])}",
        given=given,
    )
    for case in cases:
        given = (
            f"{tell_request(case)}; {tell_decision(case)}; {len(cases) - 1} more at the same time"
        )
        expect(
            len(case.hits) == 1,
            expected="a request is one hit: who asks again gets the numbers of a later moment",
            observed=f"the limiter was called {len(case.hits)} times for {case.request.path}",
            given=given,
        )
        ((name, left),) = case.decision["remaining"].items()
        expect(
            re.findall(r"r=([0-9]+)", case.reply.header("RateLimit") or "") == [str(left)],
            expected=f"the response to {case.request.path} says what was left after its own hit: "
            f"r={left} of {name}",
            observed=tell_field(case, "RateLimit"),
            given=given,
        )


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
    given = f"{tell_request(case)}, with a body of {len(case.request.body)} bytes; "
    digest = hashlib.sha256(case.request.body).hexdigest()
    if case.kind:
        given += f"the app raises {case.kind}"
        expect(
            case.reply.status == 500 and len(case.visits) == 1,
            expected="an error of the app is answered as without the middleware",
            observed=f"{tell_reply(case)}; {tell_visits(case)}",
            given=given,
        )
        for name in FIELDS:
            expect(
                case.reply.header(name) is not None,
                expected=f"the response to an error of the app has {name}, too",
                observed=tell_field(case, name),
                given=given,
            )
        return
    given += f"the app answers {case.answer['status']}"
    request = ["POST", case.request.path, len(case.request.body), digest]
    arrived = [visit[:3] for visit in case.visits]
    expect(
        [list(visit) for visit in case.visits] == [request],
        expected="the request comes to the app once, with its body untouched",
        observed=f"{tell_visits(case)}, with [method, path, bytes]: {short(arrived)}",
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
