"""JUnit XML is valid whatever a candidate wrote."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from interview.reports.hostile_values import ALSO, FORMULAS, hostile
from interview.reports.result_values import received
from report.samples import PRIORITY, SAMPLES
from report.test_html import ATTACKS

from archprep.interview.model import Graded, Result
from archprep.interview.reports import junit


def _cases(text: str) -> list[ET.Element]:
    return list(ET.fromstring(text).iter("testcase"))


def test_junit_has_a_suite_for_each_exercise_and_a_case_for_each_criterion() -> None:
    """With totals on each suite and on the root."""
    both = (Graded("q1", SAMPLES["mixed"]), Graded("q3", SAMPLES["perfect"]))
    root = ET.fromstring(junit.xml(Result(received(), both)))
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["q1", "q3"]
    assert [suite.get("tests") for suite in root] == ["7", "7"]
    assert (root.get("tests"), root.get("failures")) == ("14", "1")
    assert (root.get("errors"), root.get("skipped")) == ("4", "1")


def test_junit_distinguishes_failures_errors_and_skips() -> None:
    """By the state of the criterion."""
    mixed = Result(received(), (Graded("q1", SAMPLES["mixed"]),))
    kinds = [[child.tag for child in case] for case in _cases(junit.xml(mixed))]
    assert kinds == [[], ["failure"], *[["error"]] * 3, ["skipped"], ["error"]]
    types = [child.get("type") for case in _cases(junit.xml(mixed)) for child in case]
    assert types == ["failed", "timeout", "crash", "crash", None, "grader_error"]


def test_junit_contains_the_evidence() -> None:
    """As plain text in the failure."""
    case = _cases(junit.xml(Result(received(), (Graded("q1", SAMPLES["mixed"]),))))[1]
    text = case.find("failure").text or ""
    for piece in (PRIORITY.expected, PRIORITY.observed, "h1 priority 9", "publishing order"):
        assert piece in text


def test_junit_has_one_error_for_what_was_not_graded() -> None:
    """A submission or an exercise."""
    broken = Result(received(problem="no zip"), ())
    missing = Result(received(), (Graded("q1", problem="a file is missing"),))
    for one, why in ((broken, "no zip"), (missing, "a file is missing")):
        (case,) = _cases(junit.xml(one))
        assert case.find("error").get("message") == why


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, *ALSO])
def test_junit_is_xml_whatever_the_candidate_wrote(text: str) -> None:
    """Escaped, without what XML forbids, and with no element of the candidate's."""
    document = junit.xml(hostile(text))
    assert document.isascii()
    found = [element.tag for element in ET.fromstring(document).iter()]
    harmless = ET.fromstring(junit.xml(hostile("harmless")))
    assert found == [element.tag for element in harmless.iter()]
