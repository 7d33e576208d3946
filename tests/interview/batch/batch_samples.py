"""A class of candidates, graded at level D."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.interview.batch import grade as batch_grade

if TYPE_CHECKING:
    from archprep.interview.batch.grade import GradedBatch

WRONG = "def add(a, b):\n    return a - b\n"


Hand = Callable[..., Path]


def grade(out: Path, **options: object) -> GradedBatch:
    """Grade the class at level D: the code is our own, and needs no self-test."""
    given: dict[str, object] = {"jobs": 2, "level": "D", "seed": 7} | options
    return batch_grade.grade(out.parent / "class", out, **given)  # type: ignore[arg-type]


def parts(out: Path) -> dict[str, bytes]:
    found = out.glob("candidates/*/parts/*.json")
    return {f"{p.parts[-3]}/{p.name}": p.read_bytes() for p in found}


def scores(ended: GradedBatch) -> dict[str, int | None]:
    return {
        r.received.slug: r.graded[0].scorecard.score if r.graded and r.graded[0].scorecard else None
        for r in ended.results
    }


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    command = ["grade", str(out.parent / "class"), "--out", str(out), "--jobs", "2", *more]
    scratch = out.parent / "tmp"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "archprep", *command],
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)
