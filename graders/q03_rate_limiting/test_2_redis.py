"""Task 2: the window in Redis, on a server whose clock the plan moves."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from . import patterns
from .patterns import closed_before, ladder, opens_on_time, used_up, waits, wander
from .plays import REDIS, Play, play_all


@scenario
def shared_window(candidate, rng):
    return play_all(candidate, rng, redis_window, denied_not_counted, same_instant)


def redis_window(rng):
    play = Play(rng, REDIS, limiters=2)
    patterns.twins(play)
    caller, policy = play.caller(), play.policy(rng.randint(6, 8), rng.randint(20, 60))
    for part in (opens_on_time, closed_before, patterns.dear, patterns.tiers):
        part(caller, policy)
    for part in (0.25, 0.5, 0.75, 1):
        waits(caller, policy, rng.randint(0, 8) + part)
    policies = ladder(play)
    for turn in range(2):
        caller = play.caller()
        turned = [*policies[turn:], *policies[:turn]]
        for scarce in policies:
            used_up(caller, turned, scarce)
        wander(caller, turned, costs=(1, 2))
    patterns.both_deny(play.caller())
    return play


@criterion(
    "In Redis the same rules hold, whichever process is asked",
    task=2,
    points=5,
    hint="redis-window",
)
def test_redis_window(shared_window):
    shared_window[redis_window].same()


def denied_not_counted(rng):
    play = Play(rng, REDIS)
    patterns.polls(play)
    return play


@criterion(
    "A client that polls all the time gets its share: denied hits are not counted",
    task=2,
    points=5,
    hint="denied-not-counted",
)
def test_denied_not_counted(shared_window):
    says = (
        "a denied hit leaves nothing behind, under none of its policies: one that never stops "
        "asking is admitted whenever its admitted hits leave room"
    )
    shared_window[denied_not_counted].same(says, only="allowed")


def same_instant(rng):
    play = Play(rng, REDIS, limiters=2)
    for _ in range(2):
        caller, policy = play.caller(step=1.0), play.policy(rng.randint(5, 9), rng.randint(10, 60))
        patterns.at_once(caller, policy, 2 * policy.limit)
        caller.rest(policy)
        first, few = caller.now, rng.randint(2, policy.limit - 2)
        patterns.at_once(caller, policy, few)
        caller.now += caller.some(1, 3)
        patterns.at_once(caller, policy, policy.limit - few)
        caller.now = first + policy.window_s
        patterns.at_once(caller, policy, few + 1)
    return play


@criterion("Hits at one and the same instant all count", task=2, points=5, hint="same-instant")
def test_same_instant(shared_window):
    says = (
        "every admitted hit counts, those at the same microsecond, too, whichever process admitted "
        "them"
    )
    shared_window[same_instant].same(says, only="allowed")
