"""Makes the `results.json` of Gradescope's autograders; students see nothing of it.

https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from archprep.core.model import CriterionResult, Scorecard, State, percent
from archprep.core.sanitize import sanitize
from archprep.interview.model import Graded, Result
from archprep.interview.reports import evidence

_HIDDEN = "hidden"


def results_json(result: Result) -> str:
    """Return the document for one candidate, in ASCII."""
    cards = evidence.scorecards(result)
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
    """What concerns the whole submission, starting with the isolation."""
    cards = evidence.scorecards(result)
    lines = [
        *dict.fromkeys(sanitize(card.isolation.sentence) for card in cards),
        *(f"Flag: {sanitize(flag)}" for flag in result.received.flags),
        *(f"Problem: {problem}" for problem in evidence.problems(result)),
    ]
    return "\n".join(lines)


def _extra(result: Result, cards: Sequence[Scorecard]) -> dict[str, Any]:
    """What Gradescope stores without reading it."""
    return {
        "candidate": sanitize(result.received.name, 200),
        "max_score": result.max_score,
        "percent": percent(result.score, result.max_score),
        "seeds": {sanitize(card.exercise, 40): card.seed for card in cards},
        "isolation": sorted({sanitize(card.isolation.level, 40) for card in cards}),
        "archprep": sorted({sanitize(card.archprep_version, 40) for card in cards}),
    }


def _tests(graded: Graded) -> Iterator[dict[str, Any]]:
    name, card = sanitize(graded.exercise, 40), graded.scorecard
    if card is None:
        why = " ".join(evidence.problems_of(graded))
        yield _test(name, f"{name}: not graded", 0, graded.worth, why) | {"status": "failed"}
        return
    for number, result in enumerate(card.criteria, 1):
        title = f"{name}, task {result.task}: {sanitize(result.title, 300)}"
        text = evidence.as_text(card, result)
        test = _test(f"{name}.{number}", title, result.earned, result.points, text)
        yield test | _status(result)


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
    """Gradescope knows passed and failed only; a criterion without a verdict has no status."""
    if result.state is State.GRADER_ERROR:
        return {}
    return {"status": "passed" if result.state is State.PASSED else "failed"}
