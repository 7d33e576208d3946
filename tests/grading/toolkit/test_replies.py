"""A chain passes on what it describes, and a failure says what was asked, expected and observed."""

from __future__ import annotations

import json
import re

import pytest

from archprep.core.errors import CandidateError
from archprep.grading.api import Tally, Unmet
from archprep.grading.http_client import Reply
from archprep.grading.toolkit.replies import ReplyCheck

PROBLEM = {"type": "https://example.org/quota", "title": "Quota exceeded", "status": 429}


def reply(status=429, body=b"", **headers):
    fields = [(name.replace("_", "-").lower(), value) for name, value in headers.items()]
    return Reply(status, fields, body, 0.01)


def problem(members=PROBLEM, kind="application/problem+json"):
    return reply(body=json.dumps(members).encode(), Content_Type=kind)


def check(given, **more):
    return ReplyCheck(given, "POST /orders", **more)


def fault(link):
    with pytest.raises(Unmet) as caught:
        link()
    assert caught.value.given == "POST /orders"
    return caught.value.expected, caught.value.observed


def test_a_chain_of_what_is_true_passes_and_counts_as_comparisons():
    """A criterion that compares nothing would prove nothing."""
    Tally.made = 0
    there = reply(body=b'{"id": 3}', Retry_After="12", RateLimit='"minute";r=0;t=12')
    (
        check(there, calls={"the store": ["put", "put"]})
        .status(429)
        .status(200, 429)
        .called("the store", 2)
        .called("the store", 1, at_least=True)
        .retry_after(12)
        .retry_after()
        .header("retry-after", re.compile("[0-9]+"))
        .has("RateLimit")
        .lacks("ETag")
        .fields("RateLimit", [["minute", {"r": 0, "t": 12}]])
        .json({"id": 3})
        .text('{"id": 3}')
    )
    assert Tally.made == 12


def test_a_failure_says_everything_that_is_known():
    """The cause of an error and who was called help more than a status alone."""
    there = check(reply(500), because="the middleware raised KeyError", calls={"the app": [1]})
    assert fault(lambda: there.status(200, 204, says="what is allowed reaches the app")) == (
        "what is allowed reaches the app. Here: the reply is 200 or 204",
        "the reply is 500, because the middleware raised KeyError; the app was called once",
    )
    assert fault(lambda: there.called("the app", 0))[0] == "the app was not called"


@pytest.mark.parametrize(
    ("link", "expected", "observed"),
    [
        (lambda c: c.header("ETag", '"a"'), 'ETag: "a"', "no ETag field"),
        (lambda c: c.header("Retry-After", re.compile("[0-9]")), "a valid Retry-After", "12"),
        (lambda c: c.has("ETag"), "the reply has ETag", "no ETag field"),
        (lambda c: c.lacks("Retry-After"), "no Retry-After", "Retry-After: 12"),
        (lambda c: c.retry_after(13), "Retry-After: 13", "Retry-After: 12"),
        (lambda c: c.text("yes"), "body 'yes'", "body 'no'"),
    ],
)
def test_a_field_or_body_that_differs(link, expected, observed):
    """Both what should be there and what is."""
    said = fault(lambda: link(check(reply(body=b"no", Retry_After="12"))))
    assert expected in said[0]
    assert observed in said[1]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_retry_after_is_a_whole_number_from_one_on(value):
    """As the exercises' briefs ask; a date is legal HTTP, but no brief allows it."""
    assert "at least 1" in fault(lambda: check(reply(Retry_After=value)).retry_after())[0]


# -- structured fields


def test_only_the_parameters_that_the_brief_names_are_compared():
    """Others may be added."""
    there = check(reply(RateLimit='"minute";r=0;t=12;pk=:YWJj:, "hour";x;r=3;t=4'))
    due = [["minute", {"r": 0, "t": 12}], ["hour", {"r": 3, "t": 4}]]
    there.fields("RateLimit", due, parameters="rt")
    assert fault(lambda: there.fields("RateLimit", due))[0].startswith(
        'RateLimit: "minute";r=0;t=12, '
    )


@pytest.mark.parametrize(
    "value",
    [
        "minute;r=0;t=12",
        '"minute";r=0.0;t=12',
        '"minute";r="0";t=12',
        '"minute";t=12',
        '"minute";r=0;t=13',
        '"minute";r=0;t=12, "hour";r=0;t=12',
        "",
    ],
)
def test_types_and_values_of_a_structured_field_count(value):
    """A token is not a string, and a decimal not an integer."""
    there = check(reply(RateLimit=value))
    assert (
        f"RateLimit: {value}"
        in fault(
            lambda: there.fields("RateLimit", [["minute", {"r": 0, "t": 12}]], parameters="rt")
        )[1]
    )


@pytest.mark.parametrize(
    "value", ['"minute', '"minute";R=0', '"a" "b"', '"a",', "r=0", '"ä"', "'a'"]
)
def test_a_malformed_field_says_where(value):
    """As the parser of RFC 9651 has it."""
    said = fault(lambda: check(reply(RateLimit=value)).fields("RateLimit", [["minute", {"r": 0}]]))
    assert "not a list as in RFC 9651" in said[1]


def test_a_missing_field_is_not_an_empty_list():
    """Nor does it equal one."""
    assert "no RateLimit field" in fault(lambda: check(reply()).fields("RateLimit", [["a", {}]]))[1]


# -- bodies


def test_problem_details():
    """Members that are not asked for are free, and a type stands for any value of it."""
    there = check(problem(PROBLEM | {"detail": "…"}, "Application/Problem+JSON; charset=utf-8"))
    there.problem(PROBLEM).problem({"title": str, "status": int})


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (problem(kind="application/json"), "Content-Type: application/problem+json"),
        (problem(PROBLEM | {"status": "429"}), '"status": 429'),
        (problem(PROBLEM | {"status": True}), '"status": 429'),
        (problem({"status": 429, "type": PROBLEM["type"]}), '"title": any str'),
        (problem([]), "a JSON object"),
    ],
)
def test_problem_details_that_differ(there, expected):
    """The first member that does not fit is named."""
    members = {"type": PROBLEM["type"], "status": 429, "title": str}
    assert fault(lambda: check(there).problem(members))[0] == expected


def test_a_body_that_is_not_json_is_the_candidates_error():
    """As wherever a reply is read."""
    with pytest.raises(CandidateError, match="JSON"):
        check(reply(body=b"{")).json({})


def test_expectations_can_be_noted_instead():
    """A grader that judges while it plays keeps them for the criterion."""
    noted = []
    check(reply(500), expect=lambda condition, **_: noted.append(condition)).status(200).status(500)
    assert noted == [False, True]
