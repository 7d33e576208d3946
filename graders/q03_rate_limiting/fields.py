"""The two RateLimit fields: what they must say, and what a reply says in them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from archprep.grading import expect

from .structured import parse_list

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


def read_members(case: Case, name: str, given: str) -> list[Any] | None:
    """The members of a field of the reply, None if it is not there; more parameters may be."""
    text = case.reply.header(name)
    if text is None:
        return None
    try:
        return [
            [value, {key: found[key] for key in PARAMETERS[name] if key in found}]
            for value, found in parse_list(text)
        ]
    except ValueError as e:
        expect(
            False,
            expected=f"{name} is a list as in RFC 9651: strings with parameters",
            observed=f"{name}: {text} is none: {e}",
            given=given,
        )
        return None


def tell_members(members: list[Any]) -> str:
    """Members as they are written."""
    return ", ".join(
        f'"{name}"' + "".join(f";{key}={value}" for key, value in values.items())
        for name, values in members
    )
