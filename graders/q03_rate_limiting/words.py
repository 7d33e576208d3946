"""How plans and decisions are told: the sentences of a failed criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Policy
    from .plays import Hit

SHOWN = 9  # instants on one line
MOST = 200  # characters of a value


def tell_policy(policy: Policy) -> str:
    said = f"{policy.name}: {policy.limit} in {policy.window_s} s"
    return said if policy.burst is None else f"{said}, burst {policy.burst}"


def tell_fault(hit: Hit, field: str, seen: Any, due: Any) -> str:
    """A field of a decision that is not as due, and what it had to be made of."""
    if field == "allowed" and isinstance(seen, bool):
        said = ["denied, but to be admitted", "admitted, but to be denied"][seen]
    else:
        said = f"{field} is {_show(seen)}, not {due!r}"
    if field == "retry_after" and due:
        said += f": there is room again in {hit.wait:g} s"
    state = [f"{name}: {used}" for name, used in hit.before.items()]
    return f"{said}. Before it, {'; '.join(state)}"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST else f"{text[:MOST]}…"


def tell_hits(hits: Sequence[Hit]) -> list[str]:
    """The hits of one identity up to the last, which is the one concerned."""
    last = hits[-1]
    matters_from = last.at - max(p.memory_s for p in last.policies)
    recent = [hit for hit in hits[:-1] if hit.at >= matters_from]
    policies = list(dict.fromkeys(p for hit in [*recent, last] for p in hit.policies))
    lines = [*map(tell_policy, policies)]
    if older := len(hits) - 1 - len(recent):
        lines.append(f"{older} earlier hits, all too old to matter")
    named = len({hit.policies for hit in [*recent, last]}) > 1
    tiers = len({p.name for p in policies}) < len(policies)
    for (*_, allowed), group in groupby(recent, lambda h: (h.policies, h.cost, h.due.allowed)):
        alike = list(group)
        how = _how(alike[0], named=named, limits=tiers)
        lines.append(f"{_instants(alike)}{how}: {'admitted' if allowed else 'denied'}")
    return [*lines, f"at {last.at:g} s{_how(last, named=named, limits=tiers)}: this hit"]


def _instants(hits: Sequence[Hit]) -> str:
    times = Counter(hit.at for hit in hits)
    instants = [f"{at:g}" + (f" ({n} times)" if n > 1 else "") for at, n in times.items()]
    if len(instants) <= SHOWN:
        return f"at {', '.join(instants)} s"
    return f"{len(hits)} hits at {', '.join(instants[:3])}, … {', '.join(instants[-2:])} s"


def _how(hit: Hit, *, named: bool, limits: bool) -> str:
    """Under which policies and at what cost, where that says something."""
    names = [p.name + (f" (limit {p.limit})" if limits else "") for p in hit.policies]
    said = f", under {' and '.join(names)}" if named else ""
    return said + (f", cost {hit.cost}" if hit.cost > 1 else "")


def tell_jump(when: float, by: float) -> str:
    return f"is set {'forward' if by > 0 else 'back'} by {abs(by):g} s at {when:g} s"
