"""Task 3: who is limited by which rule, and what the client reads about it.

The limiter is the judge's: it answers with drawn decisions and remembers what it was asked.
"""

from __future__ import annotations

from math import ceil
from urllib.parse import unquote

from archprep.grading import criterion, expect, scenario

from .fields import PARAMETERS, members_due
from .proxies import forwarded_cases
from .rules import judge_rule
from .site import Group, Site, play_all
from .telling import tell_decision, tell_idents, tell_request, tell_rules

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


@scenario
def traffic(candidate, rng):
    return play_all(candidate, Site(rng), fields, refusal, principal, forwarded, rules)


# -- the fields


def fields(site):
    """Allowed and denied, answered by the app with all kinds of statuses."""
    person = site.person()
    paths = [site.rule(f"/{site.word()}", site.policies(n)) for n in (1, 2, 3)]
    statuses = [200, 200, 201, 204, 303, 404, 409, 422, 503]
    denied = [None, None, None]
    cases = [
        site.case(
            site.rng.choice(["GET", "POST", "PUT", "PATCH"]),
            f"{rule['path']}/{site.token()}",
            rule=rule,
            person=person,
            status=status or 200,
            allowed=status is not None,
        )
        for status, rule in zip([*statuses, *denied], paths * 4, strict=True)
    ]
    for case in cases[::4]:  # whole numbers, nothing at all, and barely more than nothing
        reset = case.decision["reset_s"]
        for name in reset:
            reset[name] = site.rng.choice([0.0, 0.25, float(ceil(reset[name]))])
    left = cases[-1].decision["remaining"]  # three policies: one is violated, and one is not
    left |= dict(zip(site.rng.sample([*left], 2), (0, site.rng.randint(1, 9)), strict=True))
    return Group(cases, judge_fields)


def judge_fields(case):
    reply = case.check(f"{tell_request(case)}; {tell_decision(case)}")
    for name, members in members_due(case).items():
        says = f"every response to a limited request has {name}"
        reply.fields(name, members, parameters=PARAMETERS[name], says=says)


@criterion(
    "Every response to a limited request carries RateLimit-Policy and RateLimit",
    task=3,
    points=6,
    hint="fields",
)
def test_fields(traffic):
    traffic[fields].check()


# -- 429


def refusal(site):
    """Mostly denied: every number of violated policies, and some with just enough left."""
    draw, person, cases = site.rng.randint, site.person(), []
    for count, cost in ((1, 1), (2, draw(2, 5)), (3, draw(2, 5)), (4, 1), (4, draw(2, 5))):
        rule = site.rule(f"/{site.word()}", site.policies(count), cost=cost)
        for denied in (True, True, True, False):
            method = site.rng.choice(["GET", "POST", "PATCH"])
            body = b"" if method == "GET" else site.token().encode()
            where = f"{rule['path']}/{site.token()}"
            case = site.case(method, where, rule=rule, person=person, body=body, allowed=not denied)
            remaining = case.decision["remaining"]
            enough = [name for name in remaining if denied and remaining[name] >= cost]
            remaining.update(dict.fromkeys(enough[:1], cost))  # not violated, but nearly
            cases.append(case)
    everything = cases[-2]  # all four, in an order of their own
    everything.decision["remaining"] = {p[0]: 0 for p in everything.policies}
    return Group(cases, judge_refusal)


def judge_refusal(case):
    reply = case.check(f"{tell_request(case)}; cost {case.cost}; {tell_decision(case)}")
    if case.allowed:
        says = "what the limiter allows reaches the app, and its answer the client"
        reply.status(case.answer["status"], says=says).called("the app", 1, says=says)
        return
    says = "what the limiter denies is answered with 429, and the app is not called"
    reply.status(429, says=says).called("the app", 0, says=says)
    reply.retry_after(case.decision["retry_after"], says="Retry-After is what the limiter says")
    violated = [n for n, *_ in case.policies if case.decision["remaining"][n] < case.cost]
    due = {"type": QUOTA_EXCEEDED, "status": 429, "violated-policies": violated, "title": str}
    reply.problem(due, says="the body says which policies are violated")


@criterion(
    "A denied request gets 429 with Retry-After and problem details, and never reaches the app",
    task=3,
    points=5,
    hint="refusal",
)
def test_refusal(traffic):
    traffic[refusal].check()


# -- whose window


def principal(site):
    """Credentials of all kinds; each hit must name whom identify() knows, or the address."""
    path = f"/{site.word()}"
    rule = site.rule(path, site.policies())
    number = site.rng.randint(10, 9999)
    one, other = (site.person(name=f"{name}{number}") for name in ("Ann-", "ann-"))
    again = site.person(name=one.id)  # with another token
    third, keyed = (site.person(header="X-Api-Key") for _ in "ab")
    key, token = keyed.header, one.header[1].partition(" ")[2]
    junk = [("Authorization", f"Bearer {site.token()}") for _ in range(3)]
    home = site.address()
    known = [(p, [p.header]) for p in (one, again, other, third, keyed, one)]
    known += [(keyed, [junk[0], key]), (keyed, [key, ("Authorization", "")])]
    unknown = [[header] for header in junk]
    unknown += [[("Authorization", f"Basic {token}")], [("Authorization", "")], []]
    unknown += [[("Authorization", one.id)], [junk[1], ("X-Api-Key", site.token())]]
    cases = [
        site.case("GET", f"{path}/{site.token()}", rule=rule, headers=h, ident=f"user:{p.id}")
        for p, h in known
    ]
    for headers in unknown:
        peer = site.rng.choice([home, site.address()])
        cases.append(
            site.case(
                "GET",
                f"{path}/{site.token()}",
                rule=rule,
                headers=headers,
                peer=peer,
                ident=f"ip:{peer}",
            )
        )
    for case in cases:
        case.note = (
            "identify() knows who this is: the hit counts for user:<id>"
            if case.ident.startswith("user:")
            else "identify() knows nobody here: the hit counts for ip:<address>"
        )
    return Group(cases, judge_ident)


def judge_ident(case, given=""):
    expect(
        bool(case.hits) and all(hit.ident == case.ident for hit in case.hits),
        expected=f"{case.note}. Here: hit({case.ident!r}, …)",
        observed=tell_idents(case),
        given=given + tell_request(case),
    )


@criterion(
    "Limits belong to whom identify() knows, whatever Authorization says, else to the address",
    task=3,
    points=4,
    hint="principal",
)
def test_principal(traffic):
    traffic[principal].check()


def forwarded(site):
    cases = forwarded_cases(site)

    def judge(case):
        judge_ident(case, f"trusted_proxies: {', '.join(site.trusted)}\n")

    return Group(cases, judge)


@criterion(
    "The client's address comes from X-Forwarded-For only as far as trusted proxies vouch for it",
    task=3,
    points=4,
    hint="forwarded",
)
def test_forwarded(traffic):
    traffic[forwarded].check()


# -- which rule


def rules(site):
    """Rules that overlap, exempt, or apply to some methods; the last one is for all paths."""
    draw = site.rng.randint
    person, before = site.person(), len(site.rules)
    a, b, c, d, e, f, deep, part = (f"/{site.word()}" for _ in range(8))
    inner = site.rule(f"{a}{deep}", site.policies(), cost=draw(2, 5))
    outer = site.rule(a, site.policies())
    wide = site.rule(b, site.policies(), cost=draw(1, 3))
    site.rule(f"{b}{part}", site.policies(), cost=draw(4, 6))  # never reached
    site.rule(c, [])
    site.rule(f, {})
    write = site.rule(d, site.policies(), {"POST", "PUT"}, draw(2, 6))
    read = site.rule(d, site.policies(), {"GET", "OPTIONS"})
    last = site.rule("/", site.policies(), {"DELETE"}, draw(1, 4))
    preflight = [("Origin", "https://example.org"), ("Access-Control-Request-Method", "POST")]
    under = lambda path: f"{path}/{site.token()}"  # noqa: E731
    plan = [
        ("GET", a, outer),
        ("POST", under(a), outer),
        ("GET", f"{a}{deep}", inner),
        ("PUT", under(f"{a}{deep}"), inner),
        ("GET", f"{a}{deep}s", outer),
        ("GET", f"{a}s", None),
        ("GET", a.upper(), None),
        ("GET", f"/%{ord(a[1]):x}{a[2:]}", outer),
        ("GET", f"{a}s{deep}", None),
        ("GET", f"{e}{a}", None),
        ("GET", f"{e}?next={a}", None),
        ("GET", f"{a}?page={draw(2, 9)}", outer),
        ("GET", b, wide),
        ("GET", f"{b}{part}", wide),
        ("DELETE", under(f"{b}{part}"), wide),
        ("GET", c, None),
        ("DELETE", under(c), None),
        ("DELETE", under(f), None),
        ("POST", d, write),
        ("PUT", under(d), write),
        ("GET", under(d), read),
        ("HEAD", under(d), None),
        ("PATCH", under(d), None),
        ("DELETE", d, last),
        ("DELETE", under(e), last),
        ("DELETE", "/", last),
        ("GET", "/", None),
        ("GET", under(e), None),
        ("OPTIONS", a, None),
        ("OPTIONS", under(d), None),
        ("OPTIONS", under(e), None),
    ]
    cases = [site.case(method, path, rule=r, person=person) for method, path, r in plan]
    cases += [site.case("OPTIONS", p, person=person, headers=preflight) for p in (b, under(d))]
    own = site.rules[before:]
    for case in cases:
        if case.request.method == "OPTIONS":
            case.note = "OPTIONS is never limited"
        elif case.request.path.startswith((c, f)):
            case.note = "the first rule that matches has no policies"
        else:
            case.note = "no rule matches" if not case.policies else "the first rule that matches"

    def judge(case):
        near = [rule for rule in own if rule["path"] in unquote(case.request.path).lower()]
        judge_rule(case, f"{tell_rules(near)}\n{tell_request(case)}")

    return Group(cases, judge)


@criterion(
    "The first rule that matches path and method decides; OPTIONS and exempt paths are free",
    task=3,
    points=3,
    hint="rules",
)
def test_rules(traffic):
    traffic[rules].check()
