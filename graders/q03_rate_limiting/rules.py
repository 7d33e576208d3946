"""What several criteria ask of a request: that it meets the right rule."""

from __future__ import annotations

from archprep.grading import expect

from .telling import FIELDS, tell_hits, tell_policies


def judge_rule(case, given):
    """The limiter is asked for the policies of the right rule, or not at all."""
    if not case.policies:
        added = [name for name in FIELDS if case.reply.header(name) is not None]
        expect(
            not case.hits and not added and len(case.visits) == 1,
            expected=f"{case.note}: the limiter is not called, and the app answers, without "
            "RateLimit fields",
            observed=tell_hits(case) + "".join(f"; with a {name} field" for name in added),
            given=given,
        )
        return
    expect(
        bool(case.hits)
        and all([hit.policies, hit.cost] == [case.policies, case.cost] for hit in case.hits),
        expected=f"{case.note}: hit(…, {tell_policies(case.policies)}, cost={case.cost})",
        observed=tell_hits(case),
        given=given,
    )
