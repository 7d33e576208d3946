"""Task 1: the sliding window of one process."""

from __future__ import annotations

from typing import Any

import msgspec

from archprep.grading import assert_same, criterion, expect, scenario

from . import patterns
from .models import Policy
from .patterns import closed_before, ladder, opens_on_time, used_up, waits, wander
from .plays import Play, play_all, quarters
from .words import tell_policy

MEMORY = "MemoryWindow"


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
    admission[exact_limit].same("allowed", says=says)


def every_policy(rng):
    play = Play(rng, MEMORY)
    policies = ladder(play)
    for turn in range(3):
        caller = play.caller()
        turned = [*policies[turn:], *policies[:turn]]
        for scarce in rng.sample(policies, 3):
            used_up(caller, turned, scarce)
        # What was used alone is used in company, too.
        patterns.fill(caller, policies[0], policies[0].window_s)
        caller.hit(*turned)
        caller.rest(*turned)
        wander(caller, turned)
    return play


@criterion(
    "A hit is admitted only if every policy of the call has room",
    task=1,
    points=5,
    hint="every-policy",
)
def test_every_policy(admission):
    says = "a hit is admitted when all policies of the call have room, and denied when one has none"
    admission[every_policy].same("allowed", says=says)


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
    admission[all_or_nothing].same("allowed", says=says)


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
    says = (
        "remaining counts what is left after this hit; reset_s is the time until the oldest hit "
        "that counts leaves; retry_after of a denied hit is the smallest n >= 1 so that the same "
        "hit n seconds later is admitted, else 0"
    )
    answers[retry_after].same(says=says)


def costs(rng):
    play = Play(rng, MEMORY)
    policy = play.policy(rng.randint(6, 9), rng.randint(20, 60))
    caller = play.caller(step=1.0)  # rounding is another matter
    patterns.dear(caller, policy)
    patterns.tiers(caller, policy)
    pair = [play.policy(rng.randint(4, 6), rng.randint(8, 12)), play.policy(9, 80)]
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
    says = (
        "a hit is admitted if what is used and its cost together are within the limit given with "
        "this call; remaining is never negative; retry_after waits for as many hits to leave as "
        "it takes"
    )
    answers[costs].same(says=says)


def clock_set_back(rng):
    play = Play(rng, MEMORY)
    caller, policy = play.caller(), play.policy(rng.randint(3, 5), rng.randint(24, 60))

    def sets_back(by):
        first = patterns.fill(caller, policy, policy.window_s)
        play.jumps.append((caller.now + 0.25, by))
        patterns.until(caller, first + policy.window_s + 0.25, policy)
        caller.hit(policy)

    def sets_forward(by):
        patterns.fill(caller, policy, policy.window_s / 2)
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
    play.same("allowed", says=says)
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
    drawn.seen = candidate.observe(
        "crowd",
        clock=float(rng.randint(0, 10**6)),
        policies=drawn.policies,
        rounds=drawn.rounds,
        returns=Seen,
        given=drawn.tell(),
    )
    return drawn


class Seen(msgspec.Struct):
    """What the probe returned."""

    allowed: list[list[Any]]
    used: list[int]  # blocks of memory, before each round and after the last


class Crowd:
    """Rounds of identities that come, hit once and never come back.

    Between the rounds, for three windows, only a passer-by hits now and then. A few regulars have
    used up all they have, or all but one, when a round begins, and hit again when it ends: they
    must not be forgotten.
    """

    def __init__(self, rng):
        self.size, self.rounds, self.due = 240, [], []
        limit, short, self.long = rng.randint(2, 4), rng.randint(20, 30), rng.randint(100, 200)
        self.policies = [Policy("long", limit, self.long), Policy("short", limit, short)]
        names = iter(rng.sample(range(10**5, 10**6), 20 * self.size))
        at = 0.0
        for _ in range(14):
            hits = [(at + n * self.long // 3, f"ip:passer-{next(names)}") for n in range(1, 10)]
            begin = hits[-1][0] + 0.25
            regulars = {f"user:{next(names)}": rng.randint(limit - 1, limit) for _ in range(3)}
            hits += [
                (begin + n / 4, who) for n in range(limit) for who in regulars if n < regulars[who]
            ]
            at = hits[-1][0]
            for _ in range(self.size):
                at += rng.choice([0, 0.25])
                hits.append((at, f"user:{next(names)}"))
            at = max(at, begin + short + 1) + 0.25
            due = [True] * len(hits)
            for who in rng.sample([*regulars], 3):
                hits.append((at, who))
                due.append(regulars[who] < limit)
            self.rounds.append(hits)
            self.due.append(due)

    def tell(self):
        told = ", ".join(map(tell_policy, self.policies))
        return (
            f"{told}. {len(self.rounds)} rounds: {self.size} new identities hit once each; then, "
            f"for {3 * self.long} s, only a few others hit"
        )


@criterion(
    "An identity whose hits have all left their windows is forgotten",
    task=1,
    points=3,
    hint="forgets",
)
def test_forgets(crowd):
    assert_same(
        crowd.seen.allowed,
        crowd.due,
        says="forgetting changes no decision: whoever has used its limit up when a round begins is "
        "denied when it ends",
        given=crowd.tell(),
    )
    used = crowd.seen.used
    expect(
        len(used) == len(crowd.rounds) + 1, expected="a number for each round", observed=str(used)
    )
    one = used[1] - used[0]
    # The least of the later rounds, so that one may clean up at every thousandth hit, too.
    kept = min(used[len(crowd.rounds) // 2 :]) - used[0]
    expect(
        kept <= 1.25 * max(one, 0) + 250,
        expected="when all hits of an identity have left their windows nothing of it is kept: "
        "memory stays level while new identities come and go",
        observed=f"after the first round {one:,} more blocks of memory are in use than before; "
        f"after {len(crowd.rounds)} rounds {used[-1] - used[0]:,} more",
        given=crowd.tell(),
    )
