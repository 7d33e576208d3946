"""Task 4: a token bucket that several processes share, on a real server."""

from __future__ import annotations

import time

from archprep.grading import criterion, expect, redis_server, scenario

from .shared import AT_ONCE, NO_TTL, PATIENCE, Ask, decisions, look
from .site import POLICIES
from .telling import short, tell_policies

SECOND = 1000  # in milliseconds, as the server counts


@scenario
def emptied(candidate, rng):
    """One identity's bucket is emptied by two processes at once, whose clocks are far apart."""
    policy = [rng.choice(POLICIES), 1, 8, rng.randint(12, 24)]
    offsets = [0, rng.choice([-1, 1]) * rng.randint(1000, 4000)]
    rng.shuffle(offsets)
    ident, prefix = f"user:{rng.randrange(10**6)}", f"b{rng.randint(10, 99)}"
    asks = [Ask(prefix, ident, [policy], app=n % 2) for n in range(AT_ONCE)]
    told = (
        f"{AT_ONCE} hits of {ident} at the same time, policy {tell_policies([policy])}; "
        "by two processes, whose clocks are "
        f"{abs(offsets[0] - offsets[1])} s apart"
    )
    with (
        redis_server(candidate) as server,
        candidate.serve(
            "shared",
            apps=2,
            seconds=2 * PATIENCE,
            given=told,
            store=server.endpoint,
            offsets=offsets,
            limiter="TokenBucket",
        ) as web,
    ):
        # One by one at first: an app whose clock is ahead must not refill what another has taken.
        begun = time.monotonic()
        first = [web.send(ask.request(), seconds=PATIENCE) for ask in asks[:4]]
        rest = web.all([ask.request() for ask in asks[4:]], seconds=PATIENCE)
        taken = time.monotonic() - begun
        keys = look(server)
    return told, prefix, policy, [*first, *rest], taken, keys


@criterion(
    "A bucket lives on the server: one step for each hit, one clock, keys that expire",
    task=4,
    points=3,
    hint="shared-bucket",
)
def test_shared_bucket(emptied):
    given, prefix, (_, limit, window_s, burst), replies, taken, (_, keys) = emptied
    seen = decisions(replies, given)
    count = sum(decision["allowed"] is True for decision in seen)
    most = burst + int(taken * limit / window_s)
    expect(
        burst <= count <= most,
        expected=f"exactly {burst} are admitted, as many as there are tokens"
        + f", or up to {most} within {taken:.1f} s" * (most > burst),
        observed=f"{count} were",
        given=given,
    )
    fill_ms = burst * window_s * SECOND // limit
    expect(
        any(name.startswith(f"{prefix}:") for name in keys),
        expected=f'the bucket is kept on the server, under a key that begins with "{prefix}:"',
        observed=f"the keys are {short([*keys][:5])}",
        given=given,
    )
    for name, (ttl, _) in keys.items():
        expect(
            name.startswith(f"{prefix}:"),
            expected=f'every key begins with "{prefix}:"',
            observed=f"there is a key {short(name)}",
            given=given,
        )
        expect(
            ttl != NO_TTL and ttl <= 2 * fill_ms + SECOND,
            expected="a key lives at most twice the time in which the bucket fills, and a second: "
            f"{2 * fill_ms // SECOND + 1} s",
            observed=f"the key {short(name)} lives "
            + ("for ever" if ttl == NO_TTL else f"{ttl / SECOND:g} s"),
            given=given,
        )
    longest = max(ttl for ttl, _ in keys.values())
    expect(
        longest >= fill_ms - (taken + 1) * SECOND,
        expected=f"an empty bucket is remembered until it is full again: {fill_ms // SECOND} s",
        observed=f"after {longest / SECOND:g} s no key is left",
        given=given,
    )
