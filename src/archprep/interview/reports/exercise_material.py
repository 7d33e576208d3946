"""What a candidate was given for an exercise, and the interviewer's rubric for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archprep.content import catalog, exercise_files
from archprep.content.yaml_reader import read_text
from archprep.core.errors import ArchprepError
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class RubricPoint:
    """What the rubric says about one prompt: lists of sentences, each with a label."""

    number: int  # from 1
    title: str
    lists: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class ExerciseMaterial:
    """Starter, discussion prompts and rubric; `missing` is a sentence if they are gone."""

    title: str = ""
    version: int = 0
    starter: Mapping[str, str] = field(default_factory=dict)
    prompts: str = ""
    rubric: tuple[RubricPoint, ...] = ()
    missing: str = ""


def material(name: str) -> ExerciseMaterial:
    """Return the material of an exercise; it may no longer exist."""
    try:
        return _read(catalog.get(name))
    except ArchprepError as error:
        # A results folder outlives the exercises: the scores can still be shown.
        why = sanitize(error.message, 300)
        return ExerciseMaterial(missing=f"No rubric and no comparison with the starter: {why}")


def _read(exercise: Exercise) -> ExerciseMaterial:
    files = exercise_files.starter_files(exercise)
    return ExerciseMaterial(
        title=exercise.title,
        version=exercise.version,
        starter={name: read_text(path) for name, path in files.items()},
        prompts=exercise_files.discussion(exercise),
        rubric=tuple(_points(exercise_files.rubric(exercise))),
    )


def _points(rubric: Any) -> Iterator[RubricPoint]:
    """The rubric in one form: it may be a mapping, or a list of texts or mappings."""
    pairs = rubric.items() if isinstance(rubric, dict) else ((None, item) for item in rubric)
    for number, (key, value) in enumerate(pairs, 1):
        labelled = dict(value) if isinstance(value, dict) else {"": value}
        title = key
        if key is None:
            # The first text of an item is its title, whether it is called `prompt` or `question`.
            first = next((k for k, v in labelled.items() if isinstance(v, str)), None)
            title = labelled.pop(first, "")
        lists = tuple((_text(label), tuple(_texts(texts))) for label, texts in labelled.items())
        yield RubricPoint(number, _text(title), lists)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [f"{key}: {text}" for key, text in value.items()]
    yield from map(_text, value if isinstance(value, list) else [value])


def _text(value: Any) -> str:
    return sanitize(str(value), 2000)
