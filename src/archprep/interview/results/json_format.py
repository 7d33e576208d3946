"""How submissions and outcomes are stored as JSON in a results folder."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from archprep.core.errors import UsageError
from archprep.core.model import percent
from archprep.interview.model import FORMAT, NOT_GRADED, Graded, Received, Result
from archprep.interview.results.result_files import damaged, dumps, read_json

# ------------------------------------------------------------------ candidate.json


def received_text(received: Received) -> str:
    """Return what a candidate submitted as the text of `candidate.json`."""
    try:
        return dumps(_without_folders(received))
    except (ValueError, TypeError, RecursionError):
        # What the candidate's machine reports may be anything; it must not stop the grading.
        return dumps(_without_folders(replace(received, reported={})))


def _without_folders(received: Received) -> dict[str, Any]:
    data = asdict(received)
    del data["exercises"]
    exercises = [one.exercise for one in received.exercises]
    return {"format": FORMAT, **data, "exercises": exercises}


def received_in(path: Path) -> Received:
    """Return what a candidate submitted from `candidate.json`; the folders are empty paths."""
    import msgspec

    data = read_json(path)
    names = data.get("exercises", ())
    data["exercises"] = [{"exercise": name, "directory": ""} for name in names]
    try:
        received = msgspec.convert(data, Received, dec_hook=_path)
    except (msgspec.ValidationError, UnicodeError) as error:  # UnicodeError: a lone surrogate
        raise damaged(path, str(error)) from None
    asked = {one.id: one.tasks for one in received.kit.exercises} if received.kit else {}
    exercises = [replace(one, tasks=asked.get(one.exercise, ())) for one in received.exercises]
    return replace(received, exercises=tuple(exercises))


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)  # how a msgspec hook says "unsupported type"


# ------------------------------------------------------------------ parts/<exercise>.json


def graded_document(digest: str, graded: Graded) -> dict[str, Any]:
    """Return the outcome of an exercise, and the digest of its submission, as plain data."""
    from archprep import report

    card = graded.scorecard
    kept = asdict(replace(graded, scorecard=None))
    kept["scorecard"] = None if card is None else report.to_json(card)
    return {"format": FORMAT, "digest": digest, "graded": kept}


def graded_from(data: dict[str, Any], exercise: str) -> Graded:
    """Return the outcome of an exercise; UsageError if the data is damaged."""
    from archprep import report

    try:
        kept = data["graded"]
        card = kept["scorecard"]
        scorecard = None if card is None else report.from_json(card)
        worth = int(kept.get("worth", 100))
        name, source = str(kept["exercise"]), dict(kept["source"])
        notes = tuple(map(str, kept.get("notes", ())))
        graded = Graded(name, scorecard, kept["problem"], source, worth, notes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the result of {exercise} is damaged ({error!r})") from None
    texts = all(isinstance(text, str) for text in (graded.problem or "", *graded.source.values()))
    if graded.exercise != exercise or (card is None) is (graded.problem is None) or not texts:
        raise UsageError(f"the result of {exercise} is damaged")
    return graded


def digest_in(path: Path) -> str:
    """Return the digest of the submission that was graded; "" if the file is damaged."""
    with contextlib.suppress(UsageError):
        return str(read_json(path).get("digest"))
    return ""


def source_in(path: Path) -> dict[str, bytes]:
    """Return a submission's files as they were graded; UsageError if one would lead elsewhere."""
    files = read_json(path)["graded"]["source"]
    if any(".." in Path(name).parts or Path(name).is_absolute() for name in files):
        raise damaged(path, "one of its files would be outside its folder")
    return {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}


def is_our_fault(graded: Graded) -> bool:
    """Whether there is no scorecard for a reason that is not the candidate's fault."""
    return graded.problem is not None and graded.problem.startswith(NOT_GRADED)


def lacks_verdicts(graded: Graded) -> bool:
    """Whether the candidate is owed a scorecard, or verdicts of one."""
    return is_our_fault(graded) or bool(graded.scorecard and not graded.scorecard.scored)


# ------------------------------------------------------------------ scorecard.json


def scorecard_document(result: Result) -> dict[str, Any]:
    """Return all scorecards of a candidate as one document."""
    from archprep import report

    received = result.received
    exercises = [
        {
            "exercise": graded.exercise,
            "problem": graded.problem,
            "notes": list(graded.notes),
            "scorecard": None if graded.scorecard is None else report.to_json(graded.scorecard),
        }
        for graded in result.graded
    ]
    return {
        "format": FORMAT,
        "candidate": received.name,
        "source": received.source,
        "received_at": received.received_at,
        "digest": received.digest,
        "flags": list(received.flags),
        "problem": received.problem,
        "score": result.score,
        "max_score": result.max_score,
        "percent": percent(result.score, result.max_score),
        "exercises": exercises,
    }
