"""Makes JUnit XML: a test suite for each exercise, a test case for each criterion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archprep.core.model import CriterionResult, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.interview.model import Graded, Result
from archprep.interview.reports.evidence import MAX_TEXT, as_text
from archprep.report import wording

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ERRORS = {State.CANDIDATE_ERROR, State.GRADER_ERROR}


def xml(result: Result) -> str:
    """Return the document for one candidate, in ASCII."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name=_text(result.received.name, 200))
    for graded in result.graded:
        _add_suite(root, graded)
    if result.received.problem:
        suite = _add(root, "testsuite", name="received")
        _add_not_graded(suite, "received", result.received.problem)
    for suite in (*root, root):
        _add_totals(suite)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root).decode("ascii") + "\n"


def _add_suite(root: Tree, graded: Graded) -> None:
    name, card = _text(graded.exercise, 40), graded.scorecard
    suite = _add(root, "testsuite", name=name)
    if card is None:
        _add_not_graded(suite, name, graded.why or "the reason is unknown")
        return
    suite.set("timestamp", _text(card.started_at, 40))
    properties = _add(suite, "properties")
    for key, value in _properties(card).items():
        _add(properties, "property", name=key, value=_text(value))
    for result in card.criteria:
        _add_case(suite, card, result)


def _properties(card: Scorecard) -> dict[str, str]:
    return {
        "seed": str(card.seed),
        "score": wording.points(card),
        "selection": ",".join(map(str, card.selection)) or "all",
        "exercise_version": str(card.exercise_version),
        "archprep": card.archprep_version,
        "isolation": card.isolation.sentence,
        "submission": card.submission.digest,
    }


def _add_case(suite: Tree, card: Scorecard, result: CriterionResult) -> None:
    case = _add(suite, "testcase", name=_text(f"{result.id}: {result.title}", 400))
    case.set("classname", _text(f"{card.exercise}.task{result.task}", 100))
    case.set("time", f"{result.duration_s:.3f}")
    if result.state is State.PASSED:
        return
    if result.state is State.BLOCKED:
        _add(case, "skipped", message=_text(result.reason or wording.state_label(result)))
        return
    kind = "error" if result.state in _ERRORS else "failure"
    failure = _add(case, kind, type=_type(result), message=_message(result))
    failure.text = _text(as_text(card, result), MAX_TEXT)


def _type(result: CriterionResult) -> str:
    reason = result.reason if result.state is State.CANDIDATE_ERROR else None
    return _text(reason or result.state, 100)


def _message(result: CriterionResult) -> str:
    # The message of a grader's own failure may quote the grader.
    if result.state is State.GRADER_ERROR:
        return "not scored because the grader failed"
    return _text(result.observed or result.evidence.message or wording.state_label(result), 500)


def _add_not_graded(suite: Tree, name: str, problem: str) -> None:
    """Add the only test case of a suite that could not be graded."""
    case = _add(suite, "testcase", name="graded", classname=name, time="0.000")
    _add(case, "error", type="not_graded", message=_text(problem))


def _add_totals(suite: Tree) -> None:
    """Add the counts that readers of JUnit XML rely on."""
    cases = list(suite.iter("testcase"))
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _add(parent: Tree, tag: str, **attributes: str) -> Tree:
    from xml.etree.ElementTree import SubElement

    return SubElement(parent, tag, attributes)


def _text(text: str, limit: int = 2000) -> str:
    """The text without characters that XML cannot contain, escaped or not."""
    return _NOT_XML.sub("\ufffd", sanitize(text, limit))
