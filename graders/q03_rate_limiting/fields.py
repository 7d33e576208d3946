"""The two RateLimit fields: what they must say."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .site import Case

PARAMETERS = {"RateLimit-Policy": "qw", "RateLimit": "rt"}  # those the brief names


def members_due(case: Case) -> dict[str, list[Any]]:
    """The members of both fields, by what the judge's limiter has decided."""
    decided = latest(case)
    remaining, reset = decided["remaining"], decided["reset_s"]
    return {
        "RateLimit-Policy": [[n, {"q": q, "w": w}] for n, q, w, _ in case.policies],
        "RateLimit": [[n, {"r": remaining[n], "t": ceil(reset[n])}] for n, *_ in case.policies],
    }


def latest(case: Case) -> dict[str, Any]:
    """The last decision: whether it is the right one to tell of is another criterion's matter."""
    names = {name for name, *_ in case.policies}
    whole = [told for told in case.decided if names == told.get("remaining", {}).keys()]
    return whole[-1] if whole else case.decision
