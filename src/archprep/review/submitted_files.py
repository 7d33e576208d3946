"""The files of a submission and of the reference that differ from the starter."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from archprep.content import catalog, exercise_files
from archprep.core.errors import ArchprepError
from archprep.interview.reports import exercise_material
from archprep.workspace.submission import DISCUSSION

if TYPE_CHECKING:
    from archprep.interview.model import Graded
    from archprep.interview.reports.exercise_material import ExerciseMaterial


@functools.lru_cache(maxsize=64)
def material(exercise: str) -> ExerciseMaterial:
    """What candidates were given for an exercise. Cached: it does not change during a review."""
    return exercise_material.material(exercise)


@functools.lru_cache(maxsize=64)
def reference(exercise: str) -> Mapping[str, str]:
    """The changed files of the reference; empty if the exercise is not installed."""
    try:
        files = exercise_files.reference(catalog.get(exercise))
    except ArchprepError:
        return {}
    return _changed(files, material(exercise))


def changed_files(graded: Graded) -> Mapping[str, str]:
    """The files that the candidate changed, without the discussion."""
    return _changed(graded.source, material(graded.exercise))


def _changed(files: Mapping[str, str], given: ExerciseMaterial) -> dict[str, str]:
    return {
        name: text
        for name, text in files.items()
        if name != DISCUSSION and given.starter.get(name) != text
    }
