"""Final scorecards as JSON and CSV, with automatic and human marks kept apart.

Texts of candidates and reviewers are sanitized but not shortened.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archprep.core.model import State, percent
from archprep.core.sanitize import sanitize
from archprep.interview.model import Batch
from archprep.interview.reports.summary_csv import cell
from archprep.review.final_scores import FinalCriterion, FinalExercise, FinalScorecard
from archprep.review.marks import MAX_TEXT, SCALE, Mark

FORMAT = 1  # see docs/result-format.md

_MAX_SANITIZED = 2 * MAX_TEXT  # sanitize() may make a text longer


# ------------------------------------------------------------------ JSON


def scorecard(final: FinalScorecard, batch: Batch) -> dict[str, Any]:
    """One candidate's final scorecard as plain data."""
    return {"format": FORMAT, "batch": _batch(batch), **_candidate(final)}


def to_json(finals: Iterable[FinalScorecard], batch: Batch) -> str:
    """All candidates as one JSON document in ASCII."""
    candidates = [_candidate(final) for final in finals]
    document = {"format": FORMAT, "batch": _batch(batch), "candidates": candidates}
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


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


def _candidate(final: FinalScorecard) -> dict[str, Any]:
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
            "answers": _answer_sums([p for e in final.exercises for p in e.answer_points]),
            "comment": _comment(final.comment),
        },
        "final": final.final,
        "percent": _percent(final.final, final.max),
        "exercises": [_exercise(exercise) for exercise in final.exercises],
        "outdated": [_outdated(mark) for mark in final.outdated],
    }


def _exercise(exercise: FinalExercise) -> dict[str, Any]:
    return {
        "exercise": _text(exercise.exercise),
        "title": _text(exercise.title),
        "problem": _text(exercise.problem) or None,
        "max_score": exercise.max,
        "automatic": exercise.automatic,
        "human": {
            "overrides": len(exercise.overrides),
            "answers": {
                **_answer_sums(exercise.answer_points),
                "points": [_answer(mark) for mark in exercise.answers],
            },
            "comment": _comment(exercise.comment),
        },
        "final": exercise.final,
        "percent": _percent(exercise.final, exercise.max),
        "criteria": [_criterion(criterion) for criterion in exercise.criteria],
    }


def _criterion(criterion: FinalCriterion) -> dict[str, Any]:
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
    values = {"points": mark.points, "instead_of": mark.automatic, "reason": _text(mark.text)}
    return values | _signature(mark)


def _answer_sums(points: Sequence[int]) -> dict[str, Any]:
    """Sums that are not part of the score."""
    return {"sum": sum(points), "marked": len(points), "highest": max(SCALE)}


def _answer(mark: Mark) -> dict[str, Any]:
    word = None if mark.points is None else SCALE.get(mark.points)
    values = {"mark": mark.points, "word": word, "comment": _text(mark.text)}
    return {"point": _text(mark.target.item)} | values | _signature(mark)


def _comment(mark: Mark | None) -> dict[str, Any] | None:
    return {"text": _text(mark.text)} | _signature(mark) if mark else None


def _outdated(mark: Mark) -> dict[str, Any]:
    target = {"kind": str(mark.target.kind), "exercise": _text(mark.target.exercise)}
    content = {"item": _text(mark.target.item), "points": mark.points, "text": _text(mark.text)}
    return target | content | {"digest": _text(mark.digest)} | _signature(mark)


def _signature(mark: Mark) -> dict[str, Any]:
    return {"who": _text(mark.who), "at": mark.at}


def _text(text: str) -> str:
    return sanitize(text, _MAX_SANITIZED)


# ------------------------------------------------------------------ CSV


def to_csv(finals: Iterable[FinalScorecard]) -> str:
    """One row for each candidate. No cell contains a formula or a line break."""
    rows = [*finals]
    ids = {exercise.exercise for final in rows for exercise in final.exercises}
    names = sorted(ids, key=lambda name: (len(name), name))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [f"{name}_{column}" for name in names for column in _EXERCISE_COLUMNS]
    writer.writerow([*_FIRST_COLUMNS, *(cell(column) for column in columns), *_LAST_COLUMNS])
    writer.writerows(_row(final, names) for final in rows)
    return file.getvalue()


_FIRST_COLUMNS = ["candidate", "folder", "received_at"]
_EXERCISE_COLUMNS = [
    "automatic",
    "final",
    "overrides",
    "answers_sum",
    "answers_marked",
    "comment",
]
_LAST_COLUMNS = [
    "automatic",
    "final",
    "max",
    "percent",
    "overrides",
    "comment",
    "outdated",
    "flags",
    "problems",
]

Cell = str | int


def _row(final: FinalScorecard, names: Sequence[str]) -> list[Cell]:
    exercises = {exercise.exercise: exercise for exercise in final.exercises}
    return [
        *(_cell(text) for text in (final.name, final.slug, final.received_at)),
        *(value for name in names for value in _exercise_cells(exercises.get(name))),
        *(_number(final.automatic), _number(final.final), final.max if final.exercises else ""),
        _number(_percent(final.final, final.max)),
        *(len(final.overrides), _comment_cell(final.comment), len(final.outdated)),
        *(_cell(" | ".join(texts)) for texts in (final.flags, _problems(final))),
    ]


def _exercise_cells(exercise: FinalExercise | None) -> list[Cell]:
    if exercise is None:
        return [""] * len(_EXERCISE_COLUMNS)
    points = exercise.answer_points
    return [
        *(_number(exercise.automatic), _number(exercise.final), len(exercise.overrides)),
        *(sum(points) if points else "", len(points), _comment_cell(exercise.comment)),
    ]


def _problems(final: FinalScorecard) -> Iterator[str]:
    """Why some of the candidate's points are missing."""
    if final.problem:
        yield final.problem
    for exercise in final.exercises:
        lost = sum(c.points for c in exercise.criteria if _has_no_verdict(c))
        if exercise.final is None:
            yield f"{exercise.exercise} not graded: {exercise.problem or 'the reason is unknown.'}"
        elif lost:
            yield f"{exercise.exercise}: {lost} points not scored because of a grader error"


def _has_no_verdict(criterion: FinalCriterion) -> bool:
    return criterion.state == State.GRADER_ERROR and criterion.override is None


def _number(points: int | None) -> Cell:
    """Empty without a score, because 0 would be one."""
    return "" if points is None else points


def _percent(points: int | None, most: int) -> int | None:
    return None if points is None else percent(points, most)


def _comment_cell(mark: Mark | None) -> str:
    return _cell(f"{mark.text} ({mark.who})") if mark else ""


def _cell(text: str) -> str:
    return cell(text, _MAX_SANITIZED)
