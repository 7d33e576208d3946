"""The scorecard as JSON: docs/result-format.md documents it, tests/golden pins it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archprep.core.errors import UsageError
from archprep.core.model import FORMAT, Scorecard, State
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archprep.core.model import CriterionResult, Evidence, Isolation, Submission


def to_json(scorecard: Scorecard) -> dict[str, Any]:
    """Return the scorecard as plain data, in the order of the documentation."""
    return {
        "format": scorecard.format,
        "exercise": scorecard.exercise,
        "title": scorecard.title,
        "exercise_version": scorecard.exercise_version,
        "archprep_version": scorecard.archprep_version,
        "python": scorecard.python,
        "score": scorecard.score,
        "max_score": scorecard.max_score,
        "percent": scorecard.percent,
        "selection": list(scorecard.selection),
        "partial": scorecard.partial,
        "seed": scorecard.seed,
        "started_at": scorecard.started_at,
        "duration_s": scorecard.duration_s,
        "isolation": _isolation(scorecard.isolation),
        "submission": _submission(scorecard.submission),
        "tasks": [asdict(task) for task in scorecard.tasks],
        "criteria": [_criterion(result) for result in scorecard.criteria],
    }


def dumps(scorecard: Scorecard) -> str:
    """Return the JSON document, in ASCII: no reader can be misled by special characters."""
    return json.dumps(to_json(scorecard), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def loads(text: str | bytes) -> Scorecard:
    """Read what `dumps` wrote; UsageError if it is damaged or newer than this archprep."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _damaged(str(error)) from error
    if not isinstance(data, dict):
        raise _damaged("not a JSON object")
    return from_json(data)


def from_json(data: Mapping[str, Any]) -> Scorecard:
    """Return the scorecard that `to_json` was given, with an empty `submission.root`."""
    import msgspec

    _check_format(data.get("format"))
    try:
        scorecard = msgspec.convert(_with_root(data), Scorecard, dec_hook=_path)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _damaged(str(error)) from error
    _check_sums(data, scorecard)
    return scorecard


def _isolation(isolation: Isolation) -> dict[str, Any]:
    return {
        "level": isolation.level,
        "tool": isolation.tool,
        "kernel": isolation.kernel,
        "uid": isolation.uid,
        "seccomp": isolation.seccomp,
        "selftest": dict(isolation.selftest),
        "sentence": isolation.sentence,
        "limits": asdict(isolation.limits),
    }


def _submission(submission: Submission) -> dict[str, Any]:
    # `root` is a path on this machine and means nothing elsewhere.
    return {"digest": submission.digest, "files": [asdict(file) for file in submission.files]}


def _criterion(result: CriterionResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "title": result.title,
        "task": result.task,
        "points": result.points,
        "earned": result.earned,
        "state": str(result.state),
        "reason": None if result.reason is None else str(result.reason),
        "evidence": _evidence(result.evidence),
        "expected": result.expected,
        "observed": result.observed,
        "rules": list(result.rules),
        "broken": None if result.broken is None else asdict(result.broken),
        "hint": result.hint,
        "duration_s": result.duration_s,
    } | ({"programs": result.programs} if result.programs else {})


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "given": evidence.given,
        "difference": evidence.difference,
        "message": evidence.message,
        "frames": [asdict(frame) for frame in evidence.frames],
        "output": evidence.output,
    }


def _check_format(found: object) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise _damaged("the `format` number is missing")
    if found > FORMAT:
        raise UsageError(
            f"This scorecard has format {found}; this archprep reads format {FORMAT}.",
            tip="Upgrade archprep: pip install --upgrade archprep",
        )


def _check_sums(data: Mapping[str, Any], scorecard: Scorecard) -> None:
    """Refuse totals that the criteria do not add up to: the file was edited or cut."""
    totals = (data.get("score"), data.get("max_score"))
    if totals != (scorecard.score, scorecard.max_score):
        raise _damaged("`score` and `max_score` are not the sums of the criteria")
    for result in scorecard.criteria:
        worth = result.points if result.state is State.PASSED else 0
        if result.earned != worth:
            raise _damaged(f"`earned` of criterion {result.id} does not match its state")
    if len({result.id for result in scorecard.criteria}) != len(scorecard.criteria):
        raise _damaged("a criterion occurs twice")


def _with_root(data: Mapping[str, Any]) -> dict[str, Any]:
    submission = data.get("submission")
    if isinstance(submission, dict):
        return {**data, "submission": {**submission, "root": ""}}
    return dict(data)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)  # msgspec's convention for an unsupported type


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _damaged(why: str) -> UsageError:
    return UsageError(
        f"This is not a valid archprep scorecard: {sanitize(why, 300)}.",
        tip="Write it again: archprep report --json FILE",
    )
