"""How plans and decisions are told: the sentences of a failed criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Policy
    from .plays import Hit

TOLERANCE = 1e-3  # seconds, of reset_s
SHOWN = 9  # instants on one line
MOST = 200  # characters of a value


def tell_policy(policy: Policy) -> str:
    said = f"{policy.name}: {policy.limit} in {policy.window_s} s"
    return said if policy.burst is None else f"{said}, burst {policy.burst}"


OF_WINDOW = {  # the brief's rules by the field of a decision that shows them
    "allowed": "a hit is admitted if used + cost <= limit for every one of its policies, else "
    "denied",
    "remaining": "remaining is limit - used after this hit, and 0 if that would be negative; a "
    "denied hit takes nothing",
    "reset_s": "reset_s is the time until the oldest hit that counts leaves the window, this hit "
    "included if it is admitted; 0.0 if none counts",
    "retry_after": "retry_after is 0 if admitted, else the smallest whole number n >= 1 such that "
    "the same hit would be admitted n seconds later",
}
OF_BUCKET = OF_WINDOW | {
    "allowed": "a hit is admitted if every bucket has `cost` tokens; a bucket is full at first and "
    "gets limit / window_s tokens a second, never beyond its size",
    "remaining": "remaining is the tokens after this hit, rounded down; a denied hit takes none",
    "reset_s": "reset_s is the time until the bucket is full, after this hit",
}


def tell_fault(hit: Hit, field: str, seen: Any, due: Any) -> str:
    """A field of a decision that is not as due, and what it had to be made of."""
    before = [f"{name}: {used}" for name, used in hit.before.items()]
    if isinstance(due, dict) and isinstance(seen, dict) and seen.keys() == due.keys():
        name = next(name for name in due if not is_same(seen[name], due[name]))
        field, seen, due = f"{field}[{name!r}]", seen[name], due[name]
        before = [f"{name}: {hit.before[name]}"]
    outcome = "admitted" if hit.due.allowed else "denied"
    said = f"it is {outcome}, but {field} is {_show(seen)}, not {due!r}"
    if field == "allowed":
        said = f"it must be {outcome}, and allowed is {_show(seen)}"
        if isinstance(seen, bool):
            said = f"it is {['denied', 'admitted'][seen]}, and must be {outcome}"
    if field == "retry_after" and due:
        said += f": there is room again in {hit.wait:g} s"
    return f"{said}. Before it, {'; '.join(before)}"


def is_same(seen: Any, due: Any) -> bool:
    """Whether a field of a decision is as due: exactly, but for the last bit of seconds."""
    if isinstance(due, dict):
        return (
            isinstance(seen, dict)
            and seen.keys() == due.keys()
            and all(is_same(seen[name], due[name]) for name in due)
        )
    if isinstance(due, float):
        return type(seen) in (int, float) and abs(seen - due) <= TOLERANCE
    if isinstance(due, bool):
        return bool(seen == due)  # Redis has no booleans: 1 will do
    return type(seen) is int and seen == due


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST else f"{text[:MOST]}…"


def tell_hits(limiter: str, hits: Sequence[Hit]) -> list[str]:
    """The hits of one identity up to the last, which is the one concerned."""
    last = hits[-1]
    matters_from = last.at - max(p.memory_s for p in last.policies)
    recent = [hit for hit in hits[:-1] if hit.at >= matters_from]
    policies = list(dict.fromkeys(p for hit in [*recent, last] for p in hit.policies))
    named = len({hit.policies for hit in [*recent, last]}) > 1
    under = "" if named else f" under {_and([p.name for p in last.policies])}"
    lines = [f"{limiter}: the hits of {last.ident}{under}", *map(tell_policy, policies)]
    if older := len(hits) - 1 - len(recent):
        hits_are = "earlier hits, all" if older > 1 else "earlier hit,"
        lines.append(f"{older} {hits_are} too old to matter")
    tiers = len({p.name for p in policies}) < len(policies)
    for (*_, allowed), group in groupby(recent, lambda h: (h.policies, h.cost, h.due.allowed)):
        alike = list(group)
        how = _how(alike[0], named=named, limits=tiers)
        lines.append(f"{_instants(alike)}{how}: {'admitted' if allowed else 'denied'}")
    return [*lines, f"at {last.at:g} s{_how(last, named=named, limits=tiers)}: this hit"]


def _instants(hits: Sequence[Hit]) -> str:
    times = Counter(hit.at for hit in hits)
    if len(times) == 1 < len(hits):
        return f"{len(hits)} times at {hits[0].at:g} s"
    instants = [f"{at:g}" + (f" ({n} times)" if n > 1 else "") for at, n in times.items()]
    if len(instants) <= SHOWN:
        return f"at {', '.join(instants)} s"
    return f"{len(hits)} hits at {', '.join(instants[:3])}, … {', '.join(instants[-2:])} s"


def _how(hit: Hit, *, named: bool, limits: bool) -> str:
    """Under which policies and at what cost, where that says something."""
    names = [p.name + (f" (limit {p.limit})" if limits else "") for p in hit.policies]
    said = f", under {_and(names)}" if named else ""
    return said + (f", cost {hit.cost}" if hit.cost > 1 else "")


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def tell_jump(when: float, by: float) -> str:
    return f"is set {'forward' if by > 0 else 'back'} by {abs(by):g} s at {when:g} s"
