"""A batch, a candidate, and what is on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from report.samples import LEVEL_A, SAMPLES

from archprep.interview.model import (
    Batch,
    Graded,
    Kit,
    KitExercise,
    Received,
    SubmittedExercise,
)

BATCH = Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_A)
CARD = replace(next(iter(SAMPLES.values())), exercise="q1")
GRADED = Graded("q1", CARD, source={"answer.py": "x = 'caf\udce9'\r\n"})
KIT = Kit("Ada", 90, "2026-01-01T00:00:00+00:00", "1.0", (KitExercise("q1", "q01_x", 1, "ab"),))
RECEIVED = Received(
    name="Ada",
    slug="ada",
    source="ada.zip",
    received_at="2026-01-02T00:00:00+00:00",
    digest="d1",
    exercises=(SubmittedExercise("q1", Path("/x")),),
    kit=KIT,
    flags=("late by 3 min",),
    reported={"begun_at": "now"},
    superseded=("ada1.zip",),
)


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def names(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]
