"""Final scorecards for other programs: JSON and a table, automatic and human marks apart.

Text of candidates and of reviewers stands in both. It is cleaned, and cut nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archprep.core.model import State
from archprep.core.sanitize import sanitize
from archprep.interview.exports import cell
from archprep.interview.model import Batch
from archprep.review.final import MARKS, Criterion, Exercise, Final
from archprep.review.marks import LONGEST, Mark

FORMAT = 1  # see docs/result-format.md

_WHOLE = 2 * LONGEST  # of a text and of what cleaning may add to it


# ------------------------------------------------------------------ JSON


def scorecard(final: Final, batch: Batch) -> dict[str, Any]:
    """One candidate's final scorecard as plain data."""
    return {"format": FORMAT, "batch": _batch(batch), **_candidate(final)}


def document(finals: Iterable[Final], batch: Batch) -> str:
    """All candidates as one JSON document. ASCII only, so that no sink is tricked by characters."""
    import json

    candidates = [_candidate(final) for final in finals]
    whole = {"format": FORMAT, "batch": _batch(batch), "candidates": candidates}
    return json.dumps(whole, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "seed": batch.seed,
        "created_at": _text(batch.created_at),
        "archprep_version": _text(batch.archprep_version),
        "isolation": {
            "level": _text(batch.isolation.level),
            "sentence": _text(batch.isolation.sentence),
        },
    }


def _candidate(final: Final) -> dict[str, Any]:
    return {
        "candidate": _text(final.name),
        "folder": final.slug,
        "received_at": _text(final.received_at),
        "digest": _text(final.digest),
        "flags": [_text(flag) for flag in final.flags],
        "problem": _text(final.problem) or None,
        "max_score": final.max,
        "automatic": final.automatic,
        "human": {
            "overrides": len(final.overrides),
            "answers": _answers([p for e in final.exercises for p in e.answer_points]),
            "comment": _said(final.comment),
        },
        "final": final.final,
        "exercises": [_exercise(exercise) for exercise in final.exercises],
        "outdated": [_outdated(mark) for mark in final.outdated],
    }


def _exercise(exercise: Exercise) -> dict[str, Any]:
    return {
        "exercise": _text(exercise.exercise),
        "title": _text(exercise.title),
        "problem": _text(exercise.problem) or None,
        "max_score": exercise.max,
        "automatic": exercise.automatic,
        "human": {
            "overrides": len(exercise.overrides),
            "answers": {
                **_answers(exercise.answer_points),
                "points": [_answer(mark) for mark in exercise.answers],
            },
            "comment": _said(exercise.comment),
        },
        "final": exercise.final,
        "criteria": [_criterion(criterion) for criterion in exercise.criteria],
    }


def _criterion(criterion: Criterion) -> dict[str, Any]:
    override = criterion.override
    return {
        "id": _text(criterion.id),
        "title": _text(criterion.title),
        "task": criterion.task,
        "points": criterion.points,
        "state": criterion.state,
        "automatic": criterion.automatic,
        "override": _override(override) if override else None,
        "final": criterion.final,
    }


def _override(mark: Mark) -> dict[str, Any]:
    return {"points": mark.points, "instead_of": mark.automatic, "reason": _text(mark.text)} | (
        _signed(mark)
    )


def _answers(points: Sequence[int]) -> dict[str, Any]:
    """Sums that stand beside the score and are no part of it."""
    return {"sum": sum(points), "marked": len(points), "highest": max(MARKS)}


def _answer(mark: Mark) -> dict[str, Any]:
    word = None if mark.points is None else MARKS.get(mark.points)
    remark = {"mark": mark.points, "word": word, "comment": _text(mark.text)}
    return {"point": _text(mark.target.item)} | remark | _signed(mark)


def _said(mark: Mark | None) -> dict[str, Any] | None:
    return {"text": _text(mark.text)} | _signed(mark) if mark else None


def _outdated(mark: Mark) -> dict[str, Any]:
    about = {"kind": str(mark.target.kind), "exercise": _text(mark.target.exercise)}
    what = {"item": _text(mark.target.item), "points": mark.points, "text": _text(mark.text)}
    return about | what | {"digest": _text(mark.digest)} | _signed(mark)


def _signed(mark: Mark) -> dict[str, Any]:
    return {"who": _text(mark.who), "at": mark.at}


def _text(text: str) -> str:
    return sanitize(text, _WHOLE)


# ------------------------------------------------------------------ the table


def table(finals: Iterable[Final]) -> str:
    """One row for each candidate. No cell is a formula, none has a line break."""
    import csv
    import io

    rows = [*finals]
    ids = {exercise.exercise for final in rows for exercise in final.exercises}
    names = sorted(ids, key=lambda name: (len(name), name))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    parts = [f"{name}_{part}" for name in names for part in _PARTS]
    writer.writerow([*_FIRST, *(cell(part) for part in parts), *_LAST])
    writer.writerows(_row(final, names) for final in rows)
    return file.getvalue()


_FIRST = ["candidate", "folder", "received_at"]
_PARTS = ["automatic", "final", "overrides", "answers_sum", "answers_marked", "comment"]
_LAST = ["automatic", "final", "max", "overrides", "comment", "outdated", "flags", "problems"]

Cell = str | int


def _row(final: Final, names: Sequence[str]) -> list[Cell]:
    found = {exercise.exercise: exercise for exercise in final.exercises}
    return [
        *(_cell(text) for text in (final.name, final.slug, final.received_at)),
        *(value for name in names for value in _parts(found.get(name))),
        *(_number(final.automatic), _number(final.final), final.max if final.exercises else ""),
        *(len(final.overrides), _comment(final.comment), len(final.outdated)),
        *(_cell(" | ".join(texts)) for texts in (final.flags, _problems(final))),
    ]


def _parts(exercise: Exercise | None) -> list[Cell]:
    if exercise is None:
        return [""] * len(_PARTS)
    points = exercise.answer_points
    return [
        *(_number(exercise.automatic), _number(exercise.final), len(exercise.overrides)),
        *(sum(points) if points else "", len(points), _comment(exercise.comment)),
    ]


def _problems(final: Final) -> Iterator[str]:
    """Why something of this candidate has no points."""
    if final.problem:
        yield final.problem
    for exercise in final.exercises:
        lost = sum(c.points for c in exercise.criteria if _has_no_verdict(c))
        if exercise.final is None:
            yield f"{exercise.exercise} not graded: {exercise.problem or 'no reason is known.'}"
        elif lost:
            yield f"{exercise.exercise}: {lost} points not scored, by a fault of the grader"


def _has_no_verdict(criterion: Criterion) -> bool:
    return criterion.state == State.GRADER_ERROR and criterion.override is None


def _number(points: int | None) -> Cell:
    """Nothing where there is no score: a zero would be one."""
    return "" if points is None else points


def _comment(mark: Mark | None) -> str:
    return _cell(f"{mark.text} ({mark.who})") if mark else ""


def _cell(text: str) -> str:
    return cell(text, _WHOLE)
