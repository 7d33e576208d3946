"""Pieces of plans that surely hold an interesting case, each followed by a rest.

After a denied hit a caller rests until nothing counts, so that a limiter that counts denied hits
shows it only where a criterion asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence

from .models import Due, Policy
from .plays import Caller, Play


def fill(caller: Caller, policy: Policy, within: float, *more: Policy) -> float:
    """Use a policy up in less than `within` seconds; return the instant of the first hit.

    The second hit comes half a second after the first, or later.
    """
    steps = range(2 if caller.step < 1 else 1, int((within - 0.25) / caller.step))
    offsets = sorted(caller.play.rng.sample(steps, policy.limit - 1))
    caller.hit(policy, *more)
    first = caller.now
    for offset in offsets:
        until(caller, first + offset * caller.step, policy, *more)
    return first


def until(caller: Caller, at: float, *policies: Policy, cost: int = 1) -> Due:
    """Hit at an instant."""
    return caller.hit(*policies, after=at - caller.now, cost=cost)


def opens_on_time(caller: Caller, policy: Policy) -> None:
    """When the oldest hit leaves there is room for one more, and not for two."""
    first = fill(caller, policy, policy.window_s)
    until(caller, first + policy.window_s, policy)
    caller.hit(policy, after=0.25)
    caller.rest(policy)


def closed_before(caller: Caller, policy: Policy) -> None:
    """Just before the oldest hit leaves there is no room, not even for one who drops fractions."""
    caller.now = int(caller.now) + 1.5
    first = fill(caller, policy, policy.window_s)
    until(caller, first + policy.window_s - 0.25, policy)
    caller.rest(policy)


def ladder(play: Play) -> list[Policy]:
    """Three policies, each of which can be the one that denies: see `used_up`."""
    rng = play.rng
    short, few = rng.randint(5, 10), rng.randint(2, 4)
    middle, more = short * rng.randint(5, 8), few + rng.randint(2, 3)
    long, most = middle * rng.randint(5, 10), more + rng.randint(2, 4)
    return [play.policy(few, short), play.policy(more, middle), play.policy(most, long)]


def used_up(caller: Caller, policies: Sequence[Policy], scarce: Policy) -> None:
    """Hit at a pace that every shorter policy bears, until `scarce` alone denies."""
    shorter = [p for p in policies if p.window_s < scarce.window_s]
    pace = max((p.window_s / p.limit for p in shorter), default=0)
    pace = (int(pace / caller.step) + 1) * caller.step
    allowed = True
    while allowed:
        after = pace + caller.play.rng.choice([0, 0, caller.step])
        allowed = caller.hit(*policies, after=caller.off_edge(after, *policies)).allowed
    caller.rest(*policies)


def waits(caller: Caller, policy: Policy, wait: float) -> None:
    """A hit is denied, and room comes after `wait` seconds."""
    first = fill(caller, policy, policy.window_s / 2)
    until(caller, first + policy.window_s - wait, policy)
    caller.rest(policy)


def both_deny(caller: Caller) -> None:
    """Two policies deny: first the short one has room last, then the long one."""
    play = caller.play
    few, seconds = play.rng.randint(2, 4), play.rng.randint(8, 12)
    short, long = play.policy(few, seconds), play.policy(few + 1, 4 * seconds)
    as_few = play.policy(few, 4 * seconds)
    for pair in ((short, long), (long, short)):
        caller.hit(*pair)
        leaves = caller.now + long.window_s
        caller.now = leaves - 4
        fill(caller, short, 3, long)
        until(caller, leaves - 0.75, *pair)
        caller.rest(*pair)
    for pair in ((short, as_few), (as_few, short)):
        fill(caller, short, 4, as_few)
        caller.hit(*pair, after=caller.some(0.25, 2))
        caller.rest(*pair)


def dear(caller: Caller, policy: Policy) -> None:
    """Costs that just fit, that just do not, and that must wait for several hits to leave."""
    most = policy.limit

    def spend(*costs: int) -> None:
        for cost in costs:
            caller.hit(policy, after=caller.some(1, 3), cost=cost)
        caller.rest(policy)

    spend(most - 2, 2, 1)
    spend(1, most - 2, 2)
    spend(1, 1, most - 2, 3)
    spend(most, most)


def tiers(caller: Caller, policy: Policy) -> None:
    """The limit of a name is another one from call to call."""
    low = policy._replace(limit=policy.limit - 3)
    fill(caller, low, policy.window_s / 2)
    for asked in (policy, policy, low):
        caller.hit(asked, after=caller.some(1, 2))
    caller.rest(policy)
    caller.hit(policy, cost=low.limit + 1)
    for asked in (policy, low):
        caller.hit(asked, after=caller.some(1, 2))
    caller.rest(policy)


def wander(caller: Caller, policies: Sequence[Policy], costs: Sequence[int] = (1,)) -> None:
    """Hit at random until denied."""
    rng, shortest = caller.play.rng, min(p.window_s for p in policies)
    for _ in range(20):
        after = caller.off_edge(caller.some(caller.step, shortest / 3), *policies)
        if not caller.hit(*policies, after=after, cost=rng.choice(costs)).allowed:
            break
    caller.rest(*policies)


def polls(play: Play) -> None:
    """Three who never give up: one under a single policy, two under a pair in either order."""
    rng = play.rng
    single = play.policy(rng.randint(3, 5), rng.randint(12, 16))
    few, short = rng.randint(2, 3), rng.randint(6, 8)
    pair = [play.policy(few, short), play.policy(2 * few + 1, 5 * short)]
    for policies in ([single], pair, pair[::-1]):
        caller = play.caller()
        end = caller.now + 1.25 * pair[1].window_s
        for _ in range(single.limit if policies == [single] else 0):
            caller.hit(single, after=2)  # slower, so that they do not leave all at once
        while caller.now < end:
            after = caller.off_edge(rng.choice([0.75, 1.0, 1.25]), *policies)
            caller.hit(*policies, after=after)


def at_once(caller: Caller, policy: Policy, times: int) -> None:
    """Hit some times at one instant."""
    for _ in range(times):
        caller.hit(policy)


def twins(play):
    """Identities that differ in one letter use up one policy, each for itself."""
    policy = play.policy(play.rng.randint(2, 4), play.rng.randint(40, 60))
    for caller in play.twins():
        for _ in range(policy.limit + 1):
            caller.hit(policy, after=0.25)
