"""A real server that limiters in two sandboxes share, and what the judge finds on it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from archprep.grading import Request, assert_same, expect, redis_server

AT_ONCE = 64  # hits
PATIENCE = 15.0  # seconds for all at once: under contention, optimistic transactions take some
DECISION = ("allowed", "remaining", "reset_s", "retry_after", "broke")


@dataclass
class Server:
    """What three processes were told (B has a sandbox of its own), and what they left."""

    limiter: str
    ahead: int  # seconds that the clocks of A and B are ahead; C's is as far behind
    prefix: str
    db: int
    policy: list[Any]
    turns: list[dict[str, Any]] = field(default_factory=list)  # hits of A and C
    seconds: float = 0.0  # that these took
    crowds: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)
    full: list[dict[str, Any]] = field(default_factory=list)  # hits of A and B until one is denied
    databases: dict[str, Any] = field(default_factory=dict)
    anew: list[dict[str, Any]] = field(default_factory=list)  # when all is lost

    @property
    def given(self):
        made = f'{self.limiter}(redis, prefix="{self.prefix}") on database {self.db}'
        clocks = f"{self.ahead}, {self.ahead}, {-self.ahead} s"
        return f"processes A, B, C with {made}; clocks off by {clocks}; limit {self.policy[1]}"

    def require_stored(self, rule):
        """Whatever counts elsewhere is not this limiter, and earns none of its points."""
        full, anew = ([d["allowed"] for d in seen] for seen in (self.full, self.anew))
        expect(
            full == [n < self.policy[1] for n in range(len(full))] and False not in anew,
            expected="what A and B have used counts for both, until the server has lost its data",
            observed=f"allowed in hits of A and B in turn: {full}; after the loss: {anew}",
            given=self.given,
            rule=rule,
        )

    def require_one_clock(self, rule):
        """Hits in turn by A and C, and a reset by the server's clock."""
        name, limit, window_s, _ = self.policy
        for n, d in enumerate(self.turns):
            seen = [d["broke"], d["allowed"], left_of(d, name)]
            due = [None, n < limit, max(0, limit - 1 - n)]
            says = f"hit {n + 1}, of A and C in turn: error, allowed, remaining"
            assert_same(seen, due, says=says, given=self.given, rule=rule)
        reset = (self.turns[0]["reset_s"] or {}).get(name)
        lasts = window_s if self.limiter == "RedisWindow" else window_s / limit
        expect(
            isinstance(reset, float | int) and lasts - self.seconds - 0.1 <= reset <= lasts + 0.1,
            expected=f"reset_s of the first hit is {lasts:g} s, by the server's clock",
            observed=f"it is {reset!r}",
            given=self.given,
            rule=rule,
        )

    def require_atomic(self, rule):
        """As many as fit are admitted, and what remains tells their order."""
        for tells, due, decisions in self.crowds:
            broken = [d["broke"] for d in decisions if d["broke"]]
            lefts = {name: left_of_admitted(decisions, name) for name in due}
            seen = {n: len(lefts[n]) if isinstance(due[n], int) else lefts[n] for n in due}
            says = "what fits is admitted, and each sees what remained after it"
            given = f"{self.given}; {tells}"
            assert_same([seen, broken[:1]], [due, []], says=says, given=given, rule=rule)

    def require_own_keys(self, rule):
        expect(
            {*self.databases} == {f"db{self.db}"},
            expected=f"keys only in database {self.db}",
            observed=f"the server's databases: {self.databases}",
            given=self.given,
            rule=rule,
        )
        seen = [d["broke"] or d["allowed"] for d in self.anew]
        says = "when data and scripts are lost, A and B are admitted as on a new server"
        assert_same(seen, [True, True], says=says, given=self.given, rule=rule)


def left_of(decision, name):
    remaining = decision["remaining"]
    return remaining.get(name) if isinstance(remaining, dict) else remaining


def left_of_admitted(decisions, name):
    """What remained after each admitted hit under a policy, in falling order."""
    lefts = [left_of(d, name) for d in decisions if d["allowed"] is True]
    return sorted((left for left in lefts if isinstance(left, int)), reverse=True)


def play(candidate, rng, limiter):
    """Hits in turn, and at once; a look at the server, which then loses its data."""
    names = [rng.choice(["limits", "rates", "p"]), rng.randrange(4)]
    policy = draw_policy(rng, "minute", rng.randint(3, 6))
    seen = Server(limiter, rng.choice([-1, 1]) * rng.randint(600, 4000), *names, policy)
    with redis_server(candidate) as server:
        about = {"limiter": limiter, "prefix": seen.prefix, "db": seen.db, "store": server.endpoint}
        about |= {"seconds": 4 * PATIENCE, "given": seen.given}
        with (
            candidate.serve("shared", apps=2, offsets=[seen.ahead, -seen.ahead], **about) as one,
            candidate.serve("shared", offsets=[seen.ahead], **about) as other,
        ):
            begun = time.monotonic()
            turns = [ask("user:ann", [policy], app=n % 2) for n in range(2 * policy[1])]
            seen.turns = [decided(one.send(hit)) for hit in turns]
            seen.seconds = time.monotonic() - begun
            for _ in range(3):
                tells, due, asks = draw_crowd(rng)
                calls = [web.begin(asks, seconds=PATIENCE) for web in (one, other)]
                decisions = [decided(reply) for call in calls for reply in call.replies()]
                seen.crowds.append((tells, due, decisions))
            hit = ask("user:bob", [policy])
            seen.full = [decided((one, other)[n % 2].send(hit)) for n in range(policy[1] + 1)]
            seen.databases = server.client.info("keyspace")
            server.client.flushall()
            server.client.script_flush()
            seen.anew = [decided(web.send(hit)) for web in (one, other)]
    return seen


def draw_policy(rng, name, limit):
    """A policy under which nothing comes back while the scenario lasts."""
    return [name, limit, limit * rng.randint(100, 900), None]


def draw_crowd(rng):
    """Half of the hits have room for certain, unless a denied one takes it, even for a moment."""
    few, cost, sure = rng.randint(2, 4), rng.randint(4, 6), AT_ONCE // 2
    wide = draw_policy(rng, "wide", sure + few * cost)
    narrow = draw_policy(rng, "narrow", few * cost + rng.randint(0, cost - 1))
    ident = f"user:{rng.randrange(10**9)}"
    asks = [ask(ident, [wide]), ask(ident, [wide, narrow], cost)] * (sure // 2)
    tells = f"{AT_ONCE} hits at once by A and B, under {wide}; half of them cost {cost}, and are "
    tells += f"under {narrow} as well"
    due = {"wide": sure + few, "narrow": [narrow[1] - n * cost for n in range(1, few + 1)]}
    return tells, due, rng.sample(asks, len(asks))


def ask(ident, policies, cost=1, app=0):
    said = {"ident": ident, "policies": policies, "cost": cost}
    return Request("POST", "/", body=json.dumps(said).encode(), app=app)


def decided(reply):
    """The decision in a reply, or what the limiter raised."""
    said = reply.json()
    return {key: said.get(key) if isinstance(said, dict) else None for key in DECISION}
