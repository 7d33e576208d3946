"""Task 1: the sliding window of one process."""

from __future__ import annotations

from archprep.grading import criterion, expect, scenario

from . import patterns
from .crowds import Crowd, Seen
from .patterns import closed_before, fill, ladder, opens_on_time, until, used_up, waits, wander
from .plays import MEMORY, Play, play_all, quarters


@scenario
def admission(candidate, rng):
    return play_all(candidate, rng, exact_limit, every_policy, all_or_nothing)


@scenario
def answers(candidate, rng):
    return play_all(candidate, rng, retry_after, costs, clock_set_back)


def exact_limit(rng):
    play = Play(rng, MEMORY)
    window_s = rng.randint(20, 60)
    one = play.policy(rng.randint(3, 6), window_s)
    other = play.policy(rng.randint(3, 6), window_s)
    for _ in range(2):
        under_one = play.caller()
        under_other = play.caller(same=under_one)  # the counts of one name are not the other's
        for caller, policy in ((under_one, one), (under_other, other)):
            parts = [opens_on_time, closed_before, opens_on_time, all_at_once, wander_alone]
            for part in rng.sample(parts, len(parts)):
                part(caller, policy)
    return play


def all_at_once(caller, policy):
    patterns.at_once(caller, policy, policy.limit + 1)
    caller.rest(policy)


def wander_alone(caller, policy):
    wander(caller, [policy])


@criterion(
    "Exactly `limit` hits are admitted in any window, for each identity and name apart",
    task=1,
    points=5,
    hint="exact-limit",
)
def test_exact_limit(admission):
    says = (
        "a hit is admitted if at most limit - 1 admitted hits of the same identity and name are "
        "less than window_s old, else denied"
    )
    admission[exact_limit].same(says, only="allowed")


def every_policy(rng):
    play = Play(rng, MEMORY)
    policies = ladder(play)
    for turn in range(3):
        caller = play.caller(step=1.0)
        turned = [*policies[turn:], *policies[:turn]]
        for scarce in rng.sample(policies, 3):
            used_up(caller, turned, scarce)
        # What was used alone is used in company, too.
        fill(caller, policies[0], policies[0].window_s)
        caller.hit(*turned)
        caller.rest(*turned)
    return play


@criterion(
    "A hit is admitted only if every policy of the call has room",
    task=1,
    points=5,
    hint="every-policy",
)
def test_every_policy(admission):
    says = "a hit is admitted when all policies of the call have room, and denied when one has none"
    admission[every_policy].same(says, only="allowed")


def all_or_nothing(rng):
    play = Play(rng, MEMORY)
    patterns.polls(play)
    return play


@criterion(
    "A denied hit takes nothing, from none of its policies", task=1, points=4, hint="all-or-nothing"
)
def test_all_or_nothing(admission):
    says = (
        "denied hits do not count: a client that polls all the time is admitted whenever its "
        "admitted hits leave room, in each of its policies"
    )
    admission[all_or_nothing].same(says, only="allowed")


def retry_after(rng):
    play = Play(rng, MEMORY)
    caller, policy = play.caller(), play.policy(rng.randint(3, 5), rng.randint(24, 60))
    most = policy.window_s // 2 - 1
    for wait in (0.25, 1.0, *(rng.randint(2, most - 1) + part for part in (0, 0.25, 0.5, 0.75))):
        waits(caller, policy, wait)
    policies = ladder(play)
    for turn in range(2):
        caller = play.caller()
        turned = [*policies[turn:], *policies[:turn]]
        for scarce in rng.sample(policies, 3):
            used_up(caller, turned, scarce)
        wander(caller, turned)
    patterns.both_deny(play.caller())
    return play


@criterion(
    "retry_after is the shortest wait in whole seconds that helps; remaining and reset_s are exact",
    task=1,
    points=5,
    hint="retry-after",
)
def test_retry_after(answers):
    answers[retry_after].same()


def costs(rng):
    play = Play(rng, MEMORY)
    policy = play.policy(rng.randint(6, 9), rng.randint(20, 60))
    caller = play.caller(step=1.0)  # rounding is another matter
    patterns.dear(caller, policy)
    patterns.tiers(caller, policy)
    pair = [play.policy(rng.randint(4, 6), rng.randint(8, 12)), play.policy(90, 80)]
    caller = play.caller(step=1.0)
    for turned in (pair, pair[::-1], pair):
        wander(caller, turned, costs=(1, 1, 2, 3))
    return play


@criterion(
    "A hit takes its whole cost or nothing, and the limit of the call rules",
    task=1,
    points=2,
    hint="costs",
)
def test_costs(answers):
    answers[costs].same()


def clock_set_back(rng):
    play = Play(rng, MEMORY)
    caller, policy = play.caller(), play.policy(rng.randint(3, 5), rng.randint(24, 60))

    def sets_back(by):
        first = fill(caller, policy, policy.window_s)
        play.jumps.append((caller.now + 0.25, by))
        until(caller, first + policy.window_s + 0.25, policy)
        caller.hit(policy)

    def sets_forward(by):
        fill(caller, policy, policy.window_s / 2)
        play.jumps.append((caller.now + 0.25, by))
        caller.hit(policy, after=0.5)

    hours = [3600 + quarters(rng, 0, 600) for _ in range(4)]
    for part, by in rng.sample(
        [(sets_back, -hours[0]), (sets_back, -hours[1]), (sets_forward, hours[2])], 3
    ):
        part(by)
        caller.rest(policy)
    return play


@criterion(
    "The limiter goes on as before when the wall clock is set",
    task=1,
    points=4,
    hint="clock-set-back",
)
def test_clock_set_back(answers):
    play = answers[clock_set_back]
    says = (
        "whatever the wall clock does, a hit is admitted as soon as the oldest one is window_s "
        "old, and not before"
    )
    play.same(says, only="allowed")
    for hit, (*_, retry_after) in play.decisions():
        longest = max(p.window_s for p in hit.policies)
        expect(
            not isinstance(retry_after, int | float) or retry_after <= longest,
            expected="retry_after is never more than the window",
            observed=f"hit() of {hit.ident} at {hit.at:g} s: retry_after is {retry_after!r}",
            given=play.given(hit),
        )


@scenario
def crowd(candidate, rng):
    drawn = Crowd(rng)
    drawn.seen = candidate.observe("crowd", returns=Seen, given=drawn.tell(), **drawn.inputs())
    return drawn


@criterion(
    "An identity whose hits have all left their windows is forgotten",
    task=1,
    points=3,
    hint="forgets",
)
def test_forgets(crowd):
    crowd.check_decisions()
    crowd.check_memory()
