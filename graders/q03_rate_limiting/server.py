"""A real server that limiters in two sandboxes share, and what the judge finds on it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from archprep.grading import Request, assert_same, redis_server

AT_ONCE = 64  # hits
CROWDS = ("crowd 1", "crowd 2", "crowd 3")
PATIENCE = 15.0  # seconds for all at once: under contention, optimistic transactions take some
DECISION = ("allowed", "remaining", "reset_s", "retry_after", "broke")


@dataclass
class Facts:
    """What processes A, B (in a sandbox of its own) and C are told; each with what is right."""

    given: str
    facts: dict[str, tuple[str, Any, Any]] = field(default_factory=dict)

    def note(self, name, says, seen, right):
        self.facts[name] = (says, seen, right)

    def require(self, rule, *names):
        for name in names:
            says, seen, right = self.facts[name]
            assert_same(seen, right, says=says, given=self.given, rule=rule)


def play(candidate, rng, limiter):
    """Hits in turn, and at once; a look at the server, which then loses its data."""
    prefix, db = rng.choice(["limits", "rates", "p"]), rng.randrange(4)
    policy, ahead = draw_policy(rng, "minute", rng.randint(3, 6)), rng.randint(600, 4000)
    seen = Facts(
        f'processes A, B, C with {limiter}(redis, prefix="{prefix}") on database {db}; clocks off '
        f"by {ahead}, {ahead}, {-ahead} s; limit {policy[1]}"
    )
    with redis_server(candidate) as server:
        about = {"limiter": limiter, "prefix": prefix, "db": db, "store": server.endpoint}
        about |= {"seconds": 4 * PATIENCE, "given": seen.given}
        with (
            candidate.serve("shared", apps=2, offsets=[ahead, -ahead], **about) as one,
            candidate.serve("shared", offsets=[ahead], **about) as other,
        ):
            note_turns(seen, one, policy, limiter)
            for crowd in CROWDS:
                note_crowd(seen, crowd, one, other, rng)
            hit, webs = ask("user:bob", [policy]), [one, other] * policy[1]
            full = [decided(web.send(hit))["allowed"] for web in webs]
            databases = [*server.client.info("keyspace")]
            server.client.flushall()
            server.client.script_flush()
            anew = [decided(web.send(hit)) for web in (one, other)]
    seen.note("keys", "the databases with keys", databases, [f"db{db}"])
    says = "when data and scripts are lost, A and B are admitted as on a new server"
    seen.note("anew", says, [d["broke"] or d["allowed"] for d in anew], [True, True])
    says = "hits by A and B in turn are admitted while they fit, and again after a loss of all data"
    again = [d["allowed"] is not False for d in anew]  # whether it raises is another question
    right = [n < policy[1] for n in range(len(webs))]
    seen.note("stored", says, [full, again], [right, [True, True]])
    return seen


def note_turns(seen, web, policy, limiter):
    """Hits by A and C, whose clocks are far apart."""
    name, limit, window_s, _ = policy
    began = time.monotonic()
    turns = [decided(web.send(ask("user:ann", [policy], app=n % 2))) for n in range(2 * limit)]
    took = time.monotonic() - began
    told = [[d["broke"], d["allowed"], left_of(d, name)] for d in turns]
    right = [[None, n < limit, max(0, limit - 1 - n)] for n in range(2 * limit)]
    seen.note("turns", "hits by A and C in turn: error, allowed, remaining", told, right)
    reset = (turns[0]["reset_s"] or {}).get(name)
    lasts = float(window_s if limiter == "RedisWindow" else window_s // limit)
    near = isinstance(reset, float | int) and lasts - took - 0.1 <= reset <= lasts + 0.1
    seen.note("reset", "reset_s of the first hit", lasts if near else reset, lasts)


def note_crowd(seen, crowd, one, other, rng):
    """Half of the hits have room for certain, unless a denied one takes it, even for a moment."""
    few, cost, sure = rng.randint(2, 4), rng.randint(4, 6), AT_ONCE // 2
    wide = draw_policy(rng, "wide", sure + few * cost)
    narrow = draw_policy(rng, "narrow", few * cost + rng.randint(0, cost - 1))
    ident = f"user:{rng.randrange(10**9)}"
    asks = [ask(ident, [wide]), ask(ident, [wide, narrow], cost)] * (sure // 2)
    asks = rng.sample(asks, len(asks))
    calls = [web.begin(asks, seconds=PATIENCE) for web in (one, other)]
    decisions = [decided(reply) for call in calls for reply in call.replies()]
    admitted = [d for d in decisions if d["allowed"] is True]
    lefts = [left for d in admitted if isinstance(left := left_of(d, "narrow"), int)]
    broke = [d["broke"] for d in decisions if d["broke"]]
    right = [[], sure + few, [narrow[1] - n * cost for n in range(1, few + 1)]]
    says = f"{AT_ONCE} hits at once by A and B under {wide}, half of them with cost {cost} under "
    says += f"{narrow}, too: errors, how many are admitted, what remained of narrow after each"
    seen.note(crowd, says, [broke[:1], len(admitted), sorted(lefts, reverse=True)], right)


def draw_policy(rng, name, limit):
    """A policy under which nothing comes back while the scenario lasts."""
    return [name, limit, limit * rng.randint(100, 900), None]


def ask(ident, policies, cost=1, app=0):
    said = {"ident": ident, "policies": policies, "cost": cost}
    return Request("POST", "/", body=json.dumps(said).encode(), app=app)


def decided(reply):
    """The decision in a reply, or what the limiter raised."""
    said = reply.json()
    return {key: said.get(key) if isinstance(said, dict) else None for key in DECISION}


def left_of(decision, name):
    remaining = decision["remaining"]
    return remaining.get(name) if isinstance(remaining, dict) else remaining
