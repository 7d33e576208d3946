"""Requests, rules, hits and replies in words: the sentences of a failed criterion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from archprep.grading.toolkit.replies import short

if TYPE_CHECKING:
    from .site import Case, Wire

ADDED = {"X-Guard", "X-Peer", "User-Agent", "Accept"}  # by the judge, to each request
FIELDS = ("ratelimit-policy", "ratelimit")


def tell_request(case: Case) -> str:
    """A request as the middleware sees it."""
    own = [f'{name}: "{value}"' for name, value in case.request.headers if name not in ADDED]
    client = "None" if case.peer is None else f'("{case.peer}", …)'
    told = [f"{case.request.method} {case.request.path}", f'scope["client"] is {client}', *own]
    return ", ".join(told)


def tell_policies(policies: Iterable[Wire]) -> str:
    return "[" + ", ".join(f"{name}: {limit} in {s} s" for name, limit, s, *_ in policies) + "]"


def tell_rule(rule: dict[str, Any]) -> str:
    tiers = rule["policies"]
    told = [f"{tier} {tell_policies(policies)}" for tier, policies in tiers.items()]
    options = [f"methods {', '.join(rule['methods'])}"] if rule["methods"] else []
    options += [f"cost {rule['cost']}"] if rule["cost"] != 1 else []
    return f'Rule "{rule["path"]}": {"; ".join(told) or "no policies"}' + "".join(
        f"; {option}" for option in options
    )


def tell_rules(rules: Sequence[dict[str, Any]]) -> str:
    return "\n".join(map(tell_rule, rules))


def tell_decision(case: Case) -> str:
    decision = case.decision
    if "raises" in decision:
        return f"the limiter raises {decision['raises']}"
    told = [
        f"{name}: {decision['remaining'][name]} left, reset in {decision['reset_s'][name]:g} s"
        for name, *_ in case.policies
    ]
    end = "" if decision["allowed"] else f", retry_after {decision['retry_after']}"
    return f"the limiter {'allows' if decision['allowed'] else 'denies'} it{end}; " + "; ".join(
        told
    )


def tell_hit(ident: Any, policies: Any, cost: Any) -> str:
    try:
        told = tell_policies(policies)
    except (TypeError, ValueError):
        told = short(policies)
    return f"hit({short(ident)}, {told}, cost={short(cost)})"


def tell_hits(case: Case) -> str:
    """How the limiter was called, and where it was not, what the client got instead."""
    if not case.hits:
        return f"the limiter was not called; {case.check().describe()}"
    return " and ".join(tell_hit(h.ident, h.policies, h.cost) for h in case.hits[:3]) + (
        f" and {len(case.hits) - 3} more" if len(case.hits) > 3 else ""
    )


def tell_idents(case: Case) -> str:
    if not case.hits:
        return tell_hits(case)
    return "hit() was called for " + " and for ".join(short(hit.ident) for hit in case.hits[:3])
