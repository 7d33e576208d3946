"""What other programs read: a table for spreadsheets, Gradescope's results.json, JUnit XML.

Each takes text of candidates, and each has its own characters that act: they are made harmless
here, after `sanitize()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archprep.core.model import CriterionResult, Scorecard, State
from archprep.core.sanitize import sanitize
from archprep.interview.model import Graded, Result
from archprep.interview.statistics import exercises
from archprep.report import causes, wording

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

WHOLE = 200_000  # characters of one text; the judge bounds them where they are made
ADVICE = {"Look at", "Repeat", "To do"}  # labels of what is meant for the candidate
_HIDDEN = "hidden"
# Where a spreadsheet starts to calculate. It may take ";" for the end of a cell, whatever we say.
_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ERRORS = {State.CANDIDATE_ERROR, State.GRADER_ERROR}


# ------------------------------------------------------------------ summary.csv


def summary(results: Sequence[Result]) -> str:
    """One row for each candidate. No cell is a formula, none has a line break."""
    import csv
    import io

    names = exercises(results)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_FIRST, *(cell(name) for name in names), *_LAST])
    writer.writerows(_row(result, names) for result in results)
    return file.getvalue()


_FIRST = ["candidate", "folder", "received_at"]
_LAST = ["total", "max", "flags", "problems", "superseded", "source", "sha256"]


def _row(result: Result, names: Sequence[str]) -> list[str | int]:
    received = result.received
    scores = {g.exercise: g.scorecard.score for g in result.graded if g.scorecard}
    texts = [
        " | ".join(received.flags),
        " | ".join(problems(result)),
        " | ".join(received.superseded),
        received.source,
        received.digest,
    ]
    return [
        *(cell(text) for text in (received.name, received.slug, received.received_at)),
        *(scores.get(name, "") for name in names),
        result.score if scores else "",
        result.max_score if result.graded else "",
        *(cell(text) for text in texts),
    ]


def cell(text: str, limit: int = 2000) -> str:
    """The text on one line; an apostrophe stands before what a spreadsheet would calculate."""
    return _FORMULA.sub(r"\1'\2", re.sub(r"\s+", " ", sanitize(text, limit)))


def problems(result: Result) -> Iterator[str]:
    """Why something of this candidate has no score, in sentences."""
    if result.received.problem:
        yield sanitize(result.received.problem)
    for graded in result.graded:
        yield from _troubles(graded)


def _troubles(graded: Graded) -> Iterator[str]:
    name = sanitize(graded.exercise, 40)
    if graded.scorecard is None:
        yield f"{name} not graded: {sanitize(graded.why or 'no reason is known.')}"
    elif not graded.scorecard.scored:
        lost = sum(c.points for c in graded.scorecard.criteria if c.state is State.GRADER_ERROR)
        yield f"{name}: {lost} points could not be scored, by a fault of the grader"


# ------------------------------------------------------------------ Gradescope


def gradescope(result: Result) -> str:
    """The `results.json` of Gradescope's autograders; nothing in it is shown to students.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    import json

    cards = scorecards(result)
    document = {
        "score": result.score,
        "output": _overview(result),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "execution_time": round(sum(card.duration_s for card in cards), 3),
        "visibility": _HIDDEN,
        "stdout_visibility": _HIDDEN,
        "extra_data": _extra(result, cards),
        "tests": [test for graded in result.graded for test in _tests(graded)],
    }
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def _overview(result: Result) -> str:
    """What concerns the whole submission, the isolation first."""
    lines = [
        *dict.fromkeys(sanitize(card.isolation.sentence) for card in scorecards(result)),
        *(f"Flag: {sanitize(flag)}" for flag in result.received.flags),
        *(f"Problem: {problem}" for problem in problems(result)),
    ]
    return "\n".join(lines)


def _extra(result: Result, cards: Sequence[Scorecard]) -> dict[str, Any]:
    """What Gradescope keeps and does not read."""
    return {
        "candidate": sanitize(result.received.name, 200),
        "max_score": result.max_score,
        "seeds": {sanitize(card.exercise, 40): card.seed for card in cards},
        "isolation": sorted({sanitize(card.isolation.level, 40) for card in cards}),
        "archprep": sorted({sanitize(card.archprep_version, 40) for card in cards}),
    }


def _tests(graded: Graded) -> Iterator[dict[str, Any]]:
    name, card = sanitize(graded.exercise, 40), graded.scorecard
    if card is None:
        why = " ".join(_troubles(graded))
        yield _test(name, f"{name}: not graded", 0, 100, why) | {"status": "failed"}
        return
    for number, result in enumerate(card.criteria, 1):
        title = f"{name}, task {result.task}: {sanitize(result.title, 300)}"
        worth = (result.earned, result.points)
        yield _test(f"{name}.{number}", title, *worth, told(card, result)) | _status(result)


def _test(number: str, name: str, score: int, max_score: int, output: str) -> dict[str, Any]:
    return {
        "number": number,
        "name": name,
        "score": score,
        "max_score": max_score,
        "output": output,
        "visibility": _HIDDEN,
    }


def _status(result: CriterionResult) -> dict[str, str]:
    """Gradescope knows two states; without a verdict there is none."""
    if result.state is State.GRADER_ERROR:
        return {}
    return {"status": "passed" if result.state is State.PASSED else "failed"}


# ------------------------------------------------------------------ JUnit XML


def junit(result: Result) -> str:
    """A test suite for each exercise, a test case for each criterion. ASCII only."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name=_xml(result.received.name, 200))
    for graded in result.graded:
        _suite(root, graded)
    if result.received.problem:
        suite = _add(root, "testsuite", name="received")
        _broken(suite, "received", result.received.problem)
    for suite in (*root, root):
        _count(suite)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root).decode("ascii") + "\n"


def _suite(root: Tree, graded: Graded) -> None:
    name, card = _xml(graded.exercise, 40), graded.scorecard
    suite = _add(root, "testsuite", name=name)
    if card is None:
        _broken(suite, name, graded.why or "no reason is known")
        return
    suite.set("timestamp", _xml(card.started_at, 40))
    properties = _add(suite, "properties")
    for key, value in _facts(card).items():
        _add(properties, "property", name=key, value=_xml(value))
    for result in card.criteria:
        _case(suite, card, result)


def _facts(card: Scorecard) -> dict[str, str]:
    return {
        "seed": str(card.seed),
        "score": f"{card.score}/{card.max_score}",
        "exercise_version": str(card.exercise_version),
        "archprep": card.archprep_version,
        "isolation": card.isolation.sentence,
        "submission": card.submission.digest,
    }


def _case(suite: Tree, card: Scorecard, result: CriterionResult) -> None:
    case = _add(suite, "testcase", name=_xml(f"{result.id}: {result.title}", 400))
    case.set("classname", _xml(f"{card.exercise}.task{result.task}", 100))
    case.set("time", f"{result.duration_s:.3f}")
    if result.state is State.PASSED:
        return
    if result.state is State.BLOCKED:
        _add(case, "skipped", message=_xml(result.reason or wording.state_label(result)))
        return
    kind = "error" if result.state in _ERRORS else "failure"
    why = _add(case, kind, type=_type(result), message=_message(result))
    why.text = _xml(told(card, result), WHOLE)


def _type(result: CriterionResult) -> str:
    in_words = result.reason if result.state is State.CANDIDATE_ERROR else None
    return _xml(in_words or result.state, 100)


def _message(result: CriterionResult) -> str:
    # A grader's own failure may quote the grader; its reason does not.
    if result.state is State.GRADER_ERROR:
        return "not scored, by a fault of the grader"
    return _xml(result.observed or result.evidence.message or wording.state_label(result), 500)


def _broken(suite: Tree, name: str, problem: str) -> None:
    """The one test case of a suite that could not be run."""
    case = _add(suite, "testcase", name="graded", classname=name, time="0.000")
    _add(case, "error", type="not_graded", message=_xml(problem))


def _count(suite: Tree) -> None:
    """The totals that readers of JUnit XML trust."""
    cases = list(suite.iter("testcase"))
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _add(parent: Tree, tag: str, **attributes: str) -> Tree:
    from xml.etree.ElementTree import SubElement

    return SubElement(parent, tag, attributes)


def _xml(text: str, limit: int = 2000) -> str:
    """The text without what XML cannot hold, escaped or not."""
    return _NOT_XML.sub("\ufffd", sanitize(text, limit))


# ------------------------------------------------------------------ what all share


def scorecards(result: Result) -> list[Scorecard]:
    """The scorecards that there are."""
    return [graded.scorecard for graded in result.graded if graded.scorecard]


def evidence(card: Scorecard, result: CriterionResult) -> list[causes.Detail]:
    """The evidence on one criterion, without the advice that is meant for the candidate."""
    found = causes.find_causes(replace(card, criteria=(result,)))
    return [d for cause in found for d in cause.details if d.label not in ADVICE]


def told(card: Scorecard, result: CriterionResult) -> str:
    """The verdict and the evidence as plain text."""
    details = (f"{d.label}:{_plain(d)}" for d in evidence(card, result))
    why = f" ({sanitize(result.reason)})" if result.state is State.BLOCKED and result.reason else ""
    return sanitize("\n".join([wording.state_label(result) + why, *details]), WHOLE)


def _plain(detail: causes.Detail) -> str:
    frames = [
        f"{f.file}:{f.line} in {f.function or 'the module'}\n    {f.text}" for f in detail.frames
    ]
    text = "\n".join(frames) or detail.text
    return f"\n{text}" if "\n" in text or detail.kind == "plain" else f" {text}"
