"""Task 4: the token bucket, on a server whose clock the plan moves."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from .plays import BUCKET, Play, play_all, quarters

SLOW = ((4, 8), (6, 12), (3, 6), (3, 12), (5, 20))  # limit in window_s: 1/4 or 1/2 a second
FAST = ((5, 5), (8, 8), (4, 2), (6, 3))  # 1 or 2


@scenario
def bucket(candidate, rng):
    return play_all(candidate, rng, burst)


def burst(rng):
    play = Play(rng, BUCKET, limiters=2)
    slow, fast = rng.sample(SLOW, 3), rng.sample(FAST, 2)
    small, plain, large = (play.policy(*rate) for rate in rng.sample([*slow[:2], fast[0]], 3))
    small = small._replace(burst=rng.randint(2, small.limit - 1))
    large = large._replace(burst=large.limit + rng.randint(1, 6))
    quick = play.policy(*fast[1], burst=rng.randint(2, 5))
    pair = (quick, play.policy(*slow[2], burst=rng.randint(6, 9)))
    for policies in ((small,), (plain,), (large,), pair, pair[::-1]):
        caller, fills = play.caller(), int(max(p.size / p.rate for p in policies))
        drain(caller, policies)
        fairly(caller, policies, fills * 3 // 4, 1)
        trickle(caller, policies)
        caller.now += fills + quarters(rng, 1, 10)
        drain(caller, policies)
        back_too_soon(caller, policies)
        too_dear(caller, policies)
        trickle(caller, policies)
        caller.now += fills + quarters(rng, 1, 10)
        caller.hit(*policies)
    return play


def drain(caller, policies):
    """From full to empty at one instant, all of them."""
    for some in (policies, *((p,) for p in policies[1:] + policies[:-1])):
        while caller.hit(*some).allowed:
            pass
    caller.hit(*policies)


def back_too_soon(caller, policies):
    """When there is half a token or more, and not one; then when it was told to come."""
    due = fairly(caller, policies, int(3 / min(p.rate for p in policies)) / 4, 1)
    fairly(caller, policies, due.retry_after, 1)


def too_dear(caller, policies):
    """There is a token and a half, and the hit costs two."""
    missing = (1.5 - float(caller.model.level(caller.now, p)) for p in policies)
    waits = [lack / float(p.rate) for lack, p in zip(missing, policies, strict=True)]
    fairly(caller, policies, max(1, int(4 * max(waits))) / 4, 2)


def trickle(caller, policies):
    rng = caller.play.rng
    for _ in range(4):
        after = quarters(rng, 0.25, 2 / min(p.rate for p in policies))
        cost = rng.choice([1, 1, 1, 2])
        fairly(caller, policies, after, cost)


def fairly(caller, policies, after, cost):
    """Hit after so many seconds, or a little later where the last bit would decide."""
    while not caller.model.fair(caller.now + after, policies, cost):
        after += 0.25
    return caller.hit(*policies, after=after, cost=cost)


@criterion(
    "A bucket starts full, is refilled steadily and never overflows",
    task=4,
    points=3,
    hint="burst",
)
def test_burst(bucket):
    bucket[burst].same()
