"""Gradescope gets a hidden test per criterion, in plain text."""

from __future__ import annotations

import json
import re

import pytest
from interview.reports.hostile_values import ALSO, FORMULAS, hostile
from interview.reports.result_values import received
from report.samples import SAMPLES
from report.test_html import ATTACKS

from archprep.interview.model import Graded, Result
from archprep.interview.reports import gradescope


def test_gradescope_gets_a_test_for_each_criterion() -> None:
    """As in https://gradescope-autograders.readthedocs.io/en/latest/specs/"""
    document = json.loads(
        gradescope.results_json(Result(received(), (Graded("q1", SAMPLES["mixed"]),)))
    )
    tests = document["tests"]
    assert document["score"] == sum(test["score"] for test in tests) == SAMPLES["mixed"].score
    assert sum(test["max_score"] for test in tests) == 100
    assert [test.get("status") for test in tests] == ["passed", *["failed"] * 5, None]
    assert {"name", "number", "score", "max_score", "output", "visibility"} <= tests[0].keys()
    assert "h3 (priority 2) had started" in tests[1]["output"]
    assert "publishing order.created" in tests[1]["output"]


def test_gradescope_shows_nothing_to_students() -> None:
    """Criteria stay hidden, before and after the deadline."""
    document = json.loads(gradescope.results_json(hostile("x")))
    settings = [document["visibility"], document["stdout_visibility"]]
    settings += [test["visibility"] for test in document["tests"]]
    assert set(settings) == {"hidden"}


def test_gradescope_interprets_no_text() -> None:
    """Text is never Markdown, HTML or ANSI."""
    document = json.loads(gradescope.results_json(hostile("<b>x")))
    formats = {document[f"{key}output_format"] for key in ("", "test_")}
    assert formats | {document["test_name_format"]} == {"text"}


def test_an_exercise_without_scorecard_is_a_failed_test() -> None:
    """Its output says why."""
    broken = Result(received(), (Graded("q3", problem="service.py is missing."),))
    (test,) = json.loads(gradescope.results_json(broken))["tests"]
    assert (test["score"], test["max_score"], test["status"]) == (0, 100, "failed")
    assert "service.py is missing." in test["output"]


def test_an_unreadable_submission_has_its_problem_in_the_output() -> None:
    """There are no tests then."""
    broken = Result(received(problem="a.zip is not a zip archive."), ())
    document = json.loads(gradescope.results_json(broken))
    assert (document["score"], document["tests"]) == (0, [])
    assert "a.zip is not a zip archive." in document["output"]


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, *ALSO])
def test_gradescope_json_is_ascii_and_sanitized(text: str) -> None:
    """Whatever the candidate wrote."""
    document = gradescope.results_json(hostile(text))
    assert document.isascii()
    assert not re.search(r"\\u(001b|009b|202e|200b|d800)", document)
    json.loads(document)
