"""Tells whether an exercise was worked on at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from archprep.content import exercise_files
from archprep.core.model import Exercise


def unchanged(exercise: Exercise, hashes: Mapping[str, str]) -> str | None:
    """Say that the files to write are still the starter's, given all hashes; else None."""
    starter = exercise_files.starter_files(exercise)
    if any(
        hashes.get(name) != hashlib.sha256(starter[name].read_bytes()).hexdigest()
        for name in exercise.entry
    ):
        return None
    verb = "is" if len(exercise.entry) == 1 else "are"
    return f"{exercise.id}: {' and '.join(exercise.entry)} {verb} unchanged from the starter"
