"""What several criteria ask of a request: the right rule, and an error in the right form."""

from __future__ import annotations

from archprep.grading import expect

from .telling import FIELDS, short, tell_field, tell_hits, tell_policies


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


def read_problem(case, given):
    """The body of a problem details response."""
    kind = (case.reply.header("Content-Type") or "").partition(";")[0].strip().lower()
    expect(
        kind == "application/problem+json",
        expected="Content-Type: application/problem+json",
        observed=tell_field(case, "Content-Type"),
        given=given,
    )
    body = case.reply.json()
    expect(
        isinstance(body, dict),
        expected="the body is a JSON object",
        observed=f"the body is {short(body)}",
        given=given,
    )
    return body
