"""Task 1: the same window in memory and in Redis, and what differs between them."""

from __future__ import annotations

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.grading import assert_same, criterion, expect, scenario

from . import server
from .limiter_programs import KEYS, LEFT, NUMBERS, VERDICT, LimiterSweep

IDENTS, SIZE, ROUNDS = 12, 600_000, 40  # kept for ever, they take more memory than there is
OTHERS, NOISE = 100, 32_000  # bytes by which the memory in use may vary
MANY, SMALL, TABLE = 3000, 10_000, 3_000_000  # and by which tables that have grown may stay larger


@criterion("In memory, what fits is admitted", task=1, points=6, rules=["1.1/memory", "1.2/memory"])
def test_admission_in_memory(sweep):
    sweep.kept(LimiterSweep("memory", [VERDICT]), "1.1", "1.2")


@criterion("In memory, each has its count", task=1, points=3, rules=["1.3/memory", "1.4/memory"])
def test_counts_in_memory(sweep):
    sweep.kept(LimiterSweep("memory", [VERDICT]), "1.3", "1.4")


@criterion("In memory, the numbers are exact", task=1, points=3, rules=["1.5/memory", "1.6/memory"])
def test_numbers_in_memory(sweep):
    sweep.kept(LimiterSweep("memory", NUMBERS), "1.5", "1.6")


@scenario
def crowd(candidate, rng):
    """Identities of 600 kB each: only what is forgotten makes room for the next ones."""
    long, later = rng.randint(20, 90), rng.randint(3, 12)
    policies = {"short": [rng.randint(2, 9), 2], "long": [2, long], "ever": [9, 10**6]}
    rounds = [[[0, ["ever"], ["front"], 1, 0]]]
    for n in range(ROUNDS):
        idents = [f"{n}/{i}" for i in range(IDENTS)]
        before = [0, ["short"], ["others"], rng.randint(1, 128), 0]
        come = [[after, ["short", "long"], idents, 1, SIZE] for after in (0, later)]
        denied = [3, ["long", "short"], idents, 1, SIZE]
        # When the first hit of each has left, the second still counts.
        between = [long - later - 2.5, ["short"], ["others"], OTHERS, 0]
        last = [later, ["short"], ["others"], OTHERS, 0]
        rounds.append([before, *come, denied, between, last])
    many = [f"many/{i}" for i in range(MANY)]
    rounds.append([[0, ["long"], many, 1, SMALL], [long + 1, ["short"], ["others"], OTHERS, 0]])
    given = (
        f"first, a hit under a policy of 1,000,000 s; then {ROUNDS} times: {IDENTS} identities of "
        f"{SIZE // 1000} kB are admitted under policies of {long} and 2 s, again {later} s later, "
        f"and denied 3 s later; their windows pass; others hit {OTHERS} times. At last {MANY} "
        f"identities of {SMALL // 1000} kB, and {OTHERS} hits of others after their window"
    )
    numbers = tuple[list[int], list[int]]
    inputs = {"policies": policies, "rounds": rounds}
    try:
        return given, candidate.observe("play_crowd", returns=numbers, given=given, **inputs)
    except CandidateError as error:
        if error.reason is not Reason.MEMORY:
            raise
        return given, str(error)


@criterion("What has left its windows is forgotten", task=1, points=3, rules=["1.7"])
def test_forgets(crowd):
    given, seen = crowd
    kept = f"after {OTHERS} hits of others, none of the identities is kept"
    expect(not isinstance(seen, str), expected=kept, observed=f"the process {seen}", given=given)
    admitted = [n for step, n in enumerate(seen[0][: 1 + 6 * ROUNDS]) if step % 6 in (2, 3, 4)]
    says = "how many are admitted, and again, then denied, in each round"
    assert_same(admitted, [IDENTS, IDENTS, 0] * ROUNDS, says=says, given=given)
    *rounds, last = seen[1][1:]
    more = max(rounds, default=SIZE) - min(rounds, default=0)
    varies = f"the memory in use varies by {more // 1000} kB"
    expect(more <= NOISE, expected=kept, observed=varies, given=given)
    more = last - min(rounds)
    grown = f"after the many identities, {more // 1000} kB more are in use"
    expect(more <= TABLE, expected=kept, observed=grown, given=given)


@scenario(waits=True)
def shared(candidate, rng):
    return server.play(candidate, rng, "RedisWindow")


@criterion("In Redis, what fits is admitted", task=1, points=5, rules=["1.1/redis", "1.2/redis"])
def test_admission_in_redis(sweep, shared):
    shared.require("1.8", "stored")
    sweep.kept(LimiterSweep("redis", [VERDICT]), "1.1", "1.2")


@criterion("In Redis, each has its count", task=1, points=3, rules=["1.3/redis", "1.4/redis"])
def test_counts_in_redis(sweep, shared):
    shared.require("1.8", "stored")
    sweep.kept(LimiterSweep("redis", [VERDICT]), "1.3", "1.4")


@criterion("In Redis, the numbers are exact", task=1, points=3, rules=["1.5/redis", "1.6/redis"])
def test_numbers_in_redis(sweep, shared):
    shared.require("1.8", "stored")
    sweep.kept(LimiterSweep("redis", NUMBERS), "1.5", "1.6")


@criterion("Processes share one window, by the server's clock", task=1, points=2, rules=["1.8"])
def test_clocks_apart(shared):
    shared.require("1.8", "turns", "reset")


@criterion("Of hits at the same time, what fits is admitted", task=1, points=4, rules=["1.9"])
def test_atomic(shared):
    shared.require("1.9", *server.CROWDS)


@criterion("Keys have the prefix, end in time, and may get lost", task=1, points=3, rules=["1.10"])
def test_keys(sweep, shared):
    shared.require("1.10", "keys", "anew")
    sweep.kept(LimiterSweep("redis", [VERDICT, KEYS, LEFT]), "1.10")


@criterion(
    "In memory, nothing else differs from the reference in random programs",
    task=1,
    points=3,
    rules=["1.1/memory", "1.2/memory", "1.3/memory", "1.4/memory", "1.5/memory", "1.6/memory"],
)
def test_sweep_memory(sweep):
    sweep(LimiterSweep("memory"), programs=150)


@criterion(
    "In Redis, nothing else differs from the reference in random programs",
    task=1,
    points=4,
    rules=["1.1/redis", "1.2/redis", "1.3/redis", "1.4/redis", "1.5/redis", "1.6/redis", "1.10"],
)
def test_sweep_redis(sweep, shared):
    shared.require("1.8", "stored")
    sweep(LimiterSweep("redis"), programs=30)
