"""Programs of hits for one limiter: how they are drawn, told, and compared with the reference."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from archprep.grading.toolkit.sweep import Sweep
from archprep.grading.toolkit.sweep_spec import renamed, scaled

VERDICT, REMAINING, RESET, RETRY, KEYS, LEFT = range(6)  # what a moment is about
NUMBERS = (REMAINING, RESET, RETRY)
KINDS = {"memory": "MemoryWindow", "redis": "RedisWindow", "bucket": "TokenBucket"}
NAMES = ("minute", "hour", "burst", "steady")
IDENTS = ("user:ann", "user:bob", "ip:192.0.2.7")
ODD = ("a:b", "a_b", "A:b", "a b", "a", "", "ä:b", "{a}:b", "a:*")
FEATURES = ("many", "costs", "tiers", "idents", "lookalikes", "lose")
OF_BUCKETS = {"1.1": "3.1", "1.2": "3.2", "1.3": "3.5", "1.5": "3.3", "1.6": "3.4", "1.10": "3.6"}


@dataclass(frozen=True)
class LimiterSweep(Sweep):
    """Hits on one kind of limiter; `aspects` are what is compared."""

    limiter: str
    aspects: Sequence[int] = (VERDICT, *NUMBERS, KEYS, LEFT)

    @property
    def batch(self):
        """Of those that use a fake Redis, 50 would need a second."""
        return 50 if self.limiter == "memory" else 8

    # -- drawing

    def draw(self, rng, task):  # noqa: ARG002 - a limiter belongs to one task
        used = {f for f in FEATURES if rng.random() < 0.35}
        pairs = lookalikes(rng) if "lookalikes" in used else plain_pairs(rng, used)
        policies = {name: self.draw_policy(rng, used) for _, name in pairs}
        around = {"limiter": self.limiter, "prefix": rng.choice(["limits", "p", "x1"])}
        steps = self.draw_steps(rng, used, pairs, policies)
        return {**around, "db": rng.randrange(4), "policies": policies, "steps": steps}

    def draw_policy(self, rng, used):
        limit = rng.randint(3, 7) if "costs" in used else rng.randint(1, 5)
        if self.limiter != "bucket":
            return {"limit": limit, "window_s": rng.choice([2, 5, 8, 10, 30])}
        limit, burst = rng.choice([2, 4, 8]), rng.choice([None, 3, 5, 6])
        window_s = rng.choice([limit // 2, limit, 2 * limit, 4 * limit])
        return {"limit": limit, "window_s": window_s, "burst": burst}

    def draw_steps(self, rng, used, pairs, policies):
        now, ends, steps = 0.0, [], []
        for _ in range(rng.randint(5, 14)):
            after = draw_pause(rng, [end - now for end in ends if end > now + 0.25])
            now += after
            if "lose" in used and self.limiter != "memory" and rng.random() < 0.12:
                steps.append({"lose": True, "after": after})
                continue
            ident, name = rng.choice(pairs)
            others = [n for n in policies if n != name and "many" in used and rng.random() < 0.7]
            names = rng.sample([name, *others], 1 + len(others))
            step = {"after": after, "ident": ident, "policies": names}
            if "tiers" in used and self.limiter != "bucket" and rng.random() < 0.5:
                step["limits"] = {name: rng.randint(1, 6)}
            if "costs" in used and rng.random() < 0.6:
                step["cost"] = rng.randint(1, most(policies, step))
            steps.append(step)
            ends += [now + policies[n]["window_s"] for n in names]
        return steps

    def redraw(self, rng, program):
        letters, factor = string.ascii_lowercase, rng.choice(factors(program["steps"]))
        mixed = "".join(rng.sample(letters, len(letters)))
        other = str.maketrans(letters + letters.upper(), mixed + mixed.upper())
        words = {*program["policies"], *(step.get("ident", "") for step in program["steps"])}
        new = {word: word.translate(other) for word in words}
        policies = {
            new[name]: about | {"window_s": about["window_s"] * factor}
            for name, about in program["policies"].items()
        }
        steps = [redrawn_step(scaled(step, factor), new) for step in program["steps"]]
        return program | {"limiter": self.limiter, "policies": policies, "steps": steps}

    # -- shrinking and telling

    def needs(self, program):
        hits = [step for step in program["steps"] if "lose" not in step]
        found = {
            "many policies": any(len(step["policies"]) > 1 for step in hits),
            "costs": any(step.get("cost", 1) > 1 for step in hits),
            "tiers": any("limits" in step for step in hits),
            "pairs": len({(step["ident"], name) for step in hits for name in step["policies"]}) > 1,
            "data lost": len(hits) < len(program["steps"]),
        }
        task = 3 if self.limiter == "bucket" else 1
        return {task: {"hits", *(feature for feature, used in found.items() if used)}}

    def valid(self, program):
        policies, steps = program["policies"], program["steps"]
        hits = [step for step in steps if "lose" not in step]
        return (
            bool(hits and program["prefix"] and program["limiter"] and "" not in policies)
            and all(
                min(p["window_s"], p["limit"], p.get("burst") or 1) >= 1 for p in policies.values()
            )
            and (self.limiter != "bucket" or all(map(is_exact, policies.values())))
            and all(is_instant(step.get("after", 0.0)) for step in steps)
            and all(1 <= step.get("cost", 1) <= most(policies, step) for step in hits)
            and all(len({*step["policies"]}) == len(step["policies"]) for step in hits)
            and all(isinstance(step["ident"], str) for step in hits)
        )

    def tell(self, program):
        now, lines = 0.0, [KINDS[program["limiter"]]]
        for name, p in program["policies"].items():
            burst = f", burst={p['burst']}" if p.get("burst") else ""
            lines.append(f'Policy("{name}", limit={p["limit"]}, window_s={p["window_s"]}{burst})')
        for number, step in enumerate(program["steps"], start=1):
            now += step.get("after", 0)
            lines.append(f"{number}. at {now:g} s: {told(step)}")
        return lines

    def when(self, instant):
        return f"Step {instant[0]:g}"

    # -- comparing

    def story(self, trace):
        return Counter(
            (tuple(when), text) for when, text in trace.moments if when[1] in self.aspects
        )

    def rule(self, program, difference):
        (number, aspect), _ = difference.first
        before = [t for (n, a), t in difference.expected if n < number and a == VERDICT]
        (used,) = self.needs(program).values()
        lost = "data lost" in used
        guess = verdict_rule(used, "the hit is denied" in before)
        rule = {VERDICT: guess, REMAINING: "1.5", RESET: "1.5", RETRY: "1.6"}.get(aspect, "1.10")
        if self.limiter == "bucket":
            return "3.5" if lost and aspect == VERDICT else OF_BUCKETS[rule]
        return rule if rule == "1.10" else f"{rule}/{self.limiter}"


def verdict_rule(used, denied_before):
    """The rule about who is admitted, by what the shrunk program still needs to show it."""
    if "data lost" in used:
        return "1.10"
    if "tiers" in used:
        return "1.4"
    if "pairs" in used and "many policies" not in used:
        return "1.3"
    return "1.2" if denied_before or "many policies" in used else "1.1"


def most(policies, step):
    """The largest cost that a call allows."""
    limits, known = step.get("limits", {}), [(n, policies[n]) for n in step["policies"]]
    return min(limits.get(name) or p.get("burst") or p["limit"] for name, p in known)


def is_exact(p):
    """Whether tokens come at instants that need no rounding."""
    return log2(p["limit"]).is_integer() and log2(p["window_s"] / p["limit"]).is_integer()


def is_instant(after):
    """Whether a pause is of whole quarters of a second, or nearly: a hair is less than 1 ms."""
    hair = abs(after * 4 - round(after * 4)) / 4
    return after >= 0 and (hair == 0 or 0.0006 < hair < 0.0009)


def draw_pause(rng, ahead):
    """Often such that something leaves its window now, or a moment earlier or later."""
    if ahead and rng.random() < 0.45:
        return rng.choice(ahead) + rng.choice([0.0, 0.0, -0.25, 0.25])
    return rng.choice([0.0, 0.0, 0.0, 0.25, 1.0, rng.randint(1, 12) / 4])


def plain_pairs(rng, used):
    idents = rng.sample(IDENTS, rng.randint(2, 3) if "idents" in used else 1)
    names = rng.sample(NAMES, rng.randint(2, 3) if "many" in used or rng.random() < 0.2 else 1)
    return [(ident, name) for ident in idents for name in names]


def lookalikes(rng):
    """Two pairs of identity and name that are the same text when joined, or odd identities."""
    a, b, c = rng.sample(string.ascii_lowercase, 3)
    sign = rng.choice(["", "-", "_"])
    joined = [(a, f"{b}{sign}{c}"), (f"{a}{sign}{b}", c)]
    if rng.random() < 0.5:
        joined = [(ident[::-1], name[::-1]) for ident, name in joined]
    return joined if rng.random() < 0.5 else [(ident, a) for ident in rng.sample(ODD, 3)]


def factors(steps):
    """Those that leave parts of seconds, so that what is rounded still is."""
    parts = [step["after"] for step in steps if step.get("after", 0) % 1]
    if any(part * 4 % 1 for part in parts):
        return [1]  # a hair must stay one
    return [factor for factor in (1, 2, 4) if all(part * factor % 1 for part in parts)]


def redrawn_step(step, new):
    if "lose" in step:
        return step
    names = {"ident": new[step["ident"]], "policies": [new[n] for n in step["policies"]]}
    return step | names | ({"limits": renamed(step["limits"], new)} if "limits" in step else {})


def told(step):
    if "lose" in step:
        return "the server restarts, all is lost"
    cost = f", cost={step['cost']}" if "cost" in step else ""
    limits = [f", with a limit of {n} for {name}" for name, n in step.get("limits", {}).items()]
    return f"hit({step['ident']!r}, [{', '.join(step['policies'])}]{cost}){''.join(limits)}"
