"""Task 2: a window that several processes share, on a real server."""

from __future__ import annotations

import time

from archprep.grading import assert_same, criterion, expect, redis_server, scenario

from .shared import AT_ONCE, FEW_KEYS, NO_TTL, PATIENCE, WORKERS, Ask, decisions, left_of, look
from .site import POLICIES
from .telling import short, tell_policies

ROUNDS = 3
DENIED = 8  # times
SLACK = 64  # bytes of memory per key: a rewritten value may take a little more room


def draw_policy(rng, name, limit):
    return [name, limit, rng.randint(100, 3600), None]


# -- atomic


@scenario
def at_once(candidate, rng):
    """Sixty-four hits at the same time, over two processes; again for other identities."""
    rounds = [equal_hits(rng), mixed_hits(rng), equal_hits(rng)]
    with (
        redis_server(candidate) as server,
        candidate.serve(
            "shared",
            apps=WORKERS,
            seconds=2 * PATIENCE,
            given=f"{AT_ONCE} hits at the same time, over {WORKERS} processes",
            store=server.endpoint,
            offsets=[0] * WORKERS,
        ) as web,
    ):
        replies = [web.all([ask.request() for ask in asks], seconds=PATIENCE) for asks, _ in rounds]
    return [(*drawn, came) for drawn, came in zip(rounds, replies, strict=True)]


def equal_hits(rng):
    """All ask for the same, of two policies; one of them has room for fewer."""
    names, limit = rng.sample(POLICIES, 2), rng.randint(10, 22)
    policies = [
        draw_policy(rng, names[0], limit),
        draw_policy(rng, names[1], limit + rng.randint(1, 99)),
    ]
    rng.shuffle(policies)
    asks = draw_asks(rng, [(policies, 1)] * AT_ONCE)
    return asks, [(policies, 1, limit)]


def mixed_hits(rng):
    """Half of them have room for certain, unless a denied one takes it, even for a moment."""
    names, few, cost = rng.sample(POLICIES, 2), rng.randint(2, 4), rng.randint(4, 6)
    cheap = draw_policy(rng, names[0], AT_ONCE // 2 + few * cost)
    dear = draw_policy(rng, names[1], few * cost + rng.randint(0, cost - 1))
    kinds = [([cheap], 1, AT_ONCE // 2), ([cheap, dear], cost, few)]
    asks = draw_asks(rng, [(policies, cost) for policies, cost, _ in kinds] * (AT_ONCE // 2))
    return asks, kinds


def draw_asks(rng, kinds):
    """Hits of one identity, the kinds alike in both processes, in any order."""
    ident = f"user:{rng.randrange(10**9)}"
    asks = [
        Ask("limits", ident, policies, cost, app=number // (len(kinds) // WORKERS))
        for number, (policies, cost) in enumerate(kinds)
    ]
    rng.shuffle(asks)
    return asks


@criterion(
    "Of hits at the same time, over several processes, exactly as many are admitted as allowed",
    task=2,
    points=8,
    hint="atomic",
)
def test_atomic(at_once):
    for asks, kinds, replies in at_once:
        told = [
            f"{len(asks) // len(kinds)} of cost {cost} under {tell_policies(policies)}"
            for policies, cost, _ in kinds
        ]
        given = (
            f"{len(asks)} hits of {asks[0].ident} at the same time, half of them in each of "
            f"{WORKERS} processes: {' and '.join(told)}"
        )
        seen = decisions(replies, given)
        admitted = [(a, d) for a, d in zip(asks, seen, strict=True) if d["allowed"] is True]
        for policies, cost, due in kinds:
            count = sum(ask.policies == policies for ask, _ in admitted)
            expect(
                count == due,
                expected=f"exactly {due} of those of cost {cost} are admitted",
                observed=f"{count} were",
                given=given,
            )
        for name, limit in {p[0]: p[1] for policies, _, _ in kinds for p in policies}.items():
            judge_remaining(name, limit, admitted, given)


def judge_remaining(name, limit, admitted, given):
    """One admitted hit after another takes its cost: what remains tells their order."""
    found = [
        (left, ask.cost)
        for ask, decision in admitted
        if type(left := left_of(decision, name)) is int
    ]
    asked = sum(name in {p[0] for p in ask.policies} for ask, _ in admitted)
    due, seen = [], [left for left, _ in sorted(found, reverse=True)]
    for _, cost in sorted(found, reverse=True):
        limit -= cost
        due.append(limit)
    expect(
        seen == due and len(seen) == asked,
        expected=f"`remaining` of {name} falls with each admitted hit by its cost: {due}",
        observed=f"it was, in falling order: {seen}",
        given=given,
    )


# -- clocks apart


@scenario
def apart(candidate, rng):
    """One hit after another, by processes whose clocks are minutes apart."""
    offsets = [0, rng.randint(600, 4000), -rng.randint(600, 4000)]
    rng.shuffle(offsets)
    rounds = []
    for last in rng.sample(range(1, 255), ROUNDS):
        limit, ident = rng.randint(3, 6), f"ip:198.51.100.{last}"
        policies = [[rng.choice(POLICIES), limit, rng.randint(100, 300), None]]
        apps = [*range(len(offsets))] * limit
        rng.shuffle(apps)
        prefix = f"r{len(rounds)}"
        rounds.append([Ask(prefix, ident, policies, app=app) for app in apps])
    with (
        redis_server(candidate) as server,
        candidate.serve(
            "shared",
            apps=len(offsets),
            seconds=25,
            given=f"hits by processes whose clocks are off by {offsets} s",
            store=server.endpoint,
            offsets=offsets,
        ) as web,
    ):
        came = []
        for asks in rounds:
            begun = time.monotonic()
            replies = [web.send(ask.request()) for ask in asks]
            came.append((asks, replies, time.monotonic() - begun))
    return offsets, came


@criterion(
    "Processes whose clocks are minutes apart share one window: the server's time counts",
    task=2,
    points=4,
    hint="clocks-apart",
)
def test_clocks_apart(apart):
    offsets, rounds = apart
    for asks, replies, taken in rounds:
        ((name, limit, window_s, _),) = asks[0].policies
        given = (
            f"{len(asks)} hits within {taken:.2f} s, policy {tell_policies(asks[0].policies)}; by "
            f"processes {', '.join('ABC'[ask.app] for ask in asks)}; their clocks are off by "
            + ", ".join(f"{name}: {s} s" for name, s in zip("ABC", offsets, strict=True))
        )
        seen = decisions(replies, given)
        for number, (ask, decision) in enumerate(zip(asks, seen, strict=True)):
            came = tell_decision(decision["allowed"], left_of(decision, name))
            due = tell_decision(number < limit, max(0, limit - 1 - number))
            expect(
                came == due,
                expected=f"one window for all: hit {number + 1} is {due}",
                observed=f"hit {number + 1}, by process {'ABC'[ask.app]}, is {came}",
                given=given,
            )
        for number, decision in enumerate(seen):
            reset, wait = decision["reset_s"], decision["retry_after"]
            reset = reset.get(name) if isinstance(reset, dict) else None
            within = f"at most {window_s} s, and at least {window_s - taken:.2f} s"
            expect(
                is_between(reset, window_s - taken - 0.01, window_s + 0.01),
                expected=f"reset_s is measured by the server's clock: {within}",
                observed=f"reset_s of hit {number + 1} is {short(reset)}",
                given=given,
            )
            due = (
                is_between(wait, window_s - taken - 0.01, window_s) if number >= limit else not wait
            )
            expect(
                type(wait) is int and due,
                expected=f"retry_after of a denied hit is {within}, of the others 0",
                observed=f"retry_after of hit {number + 1} is {short(wait)}",
                given=given,
            )


def tell_decision(allowed, remaining):
    verdict = ("denied", "admitted")[allowed] if type(allowed) is bool else short(allowed)
    return f"{verdict}, {short(remaining)} remaining"


def is_between(value, low, high):
    return type(value) in (int, float) and low <= value <= high


# -- what is left on the server


@scenario
def leftovers(candidate, rng):
    """Identities that use up a limit, then a crowd of denied hits; the keys after both."""
    names = rng.sample(POLICIES, 3)
    windows = [rng.randint(120, 200), rng.randint(120, 200), rng.randint(500, 900)]
    limit = rng.randint(3, 5)
    calls = {
        f"one{rng.randint(10, 99)}": [[names[0], limit, windows[0], None]],
        f"two{rng.randint(10, 99)}": [
            [names[1], limit, windows[1], None],
            [names[2], limit + rng.randint(1, 50), windows[2], None],
        ],
    }
    idents = [f"user:{number}" for number in rng.sample(range(10**6), 6)]
    asks = [Ask(prefix, ident, p) for prefix, p in calls.items() for ident in idents]
    found = []
    with (
        redis_server(candidate) as server,
        candidate.serve(
            "shared",
            seconds=20,
            given=f"{len(idents)} identities use up their limits; then they are denied",
            store=server.endpoint,
            offsets=[rng.choice([-1, 1]) * rng.randint(2000, 4000)],
        ) as web,
    ):
        for times in (limit, DENIED):
            mixed = asks * times
            rng.shuffle(mixed)
            replies = []
            for start in range(0, len(mixed), 16):
                replies += web.all([ask.request() for ask in mixed[start : start + 16]])
            found.append((replies, look(server)))
    return calls, asks, found


@criterion(
    "Every key bears the prefix and expires; denied hits leave nothing behind",
    task=2,
    points=3,
    hint="keys-expire",
)
def test_keys_expire(leftovers):
    calls, asks, ((first, (count, before)), (second, (_, after))) = leftovers
    given = "; ".join(f'prefix "{prefix}": {tell_policies(p)}' for prefix, p in calls.items())
    given += f"; {len(asks)} identities, each uses up its limit"
    both = [
        [d["allowed"] for d in decisions(first, given)],
        [d["allowed"] for d in decisions(second, given)],
    ]
    due = [[True] * len(first), [False] * len(second)]
    assert_same(both, due, says=f"all are admitted until then, then {DENIED} denied", given=given)
    expect(
        count < FEW_KEYS,
        expected="some keys for each identity",
        observed=f"{count} keys",
        given=given,
    )
    for prefix in calls:
        expect(
            any(name.startswith(f"{prefix}:") for name in before),
            expected=f'the counts are kept on the server, under keys that begin with "{prefix}:"',
            observed=f"the keys are {short([*before][:5])}",
            given=given,
        )
    for name, (ttl, _) in before.items():
        judge_key(name, ttl, calls, given)
    given += f", and then is denied {DENIED} times"
    new = sorted(after.keys() - before.keys())
    expect(
        not new,
        expected="denied hits leave no key behind",
        observed=f"there are new keys: {short(new[:3])}",
        given=given,
    )
    for name, (ttl, size) in after.items():
        judge_key(name, ttl, calls, given)
        expect(
            size <= before[name][1] + SLACK,
            expected="denied hits take no memory",
            observed=f"the key {short(name)} grew from {before[name][1]} to {size} bytes",
            given=given,
        )


def judge_key(name, ttl, calls, given):
    """Whether a key begins with one of the prefixes, and expires in time."""
    prefix = name.partition(":")[0]
    expect(
        prefix in calls and ":" in name,
        expected="every key begins with the prefix and a colon",
        observed=f"there is a key {short(name)}",
        given=given,
    )
    policies = calls[prefix]
    own = [policy for policy in policies if policy[0] in name]
    window_s = max(policy[2] for policy in (own or policies))
    expect(
        ttl != NO_TTL,
        expected="every key has a time to live",
        observed=f"the key {short(name)} has none",
        given=given,
    )
    expect(
        ttl <= 2 * window_s * 1000,
        expected=f"a key lives at most two windows: {2 * window_s} s",
        observed=f"the key {short(name)} lives {ttl / 1000:g} s",
        given=given,
    )
