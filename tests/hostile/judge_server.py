"""Grades hostile cases, one per line on stdin, in a separate process that can be measured."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from archprep.content import catalog
from archprep.core.errors import ArchprepError
from archprep.grading import session
from archprep.report import to_json
from archprep.workspace import submission as intake


def peak_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def graded(name: str, folder: str, seed: int, cwd: str) -> dict:
    os.chdir(cwd)
    exercise = catalog.get(name)
    stage = Path(tempfile.mkdtemp()) / "stage"
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = descriptors()
    started = time.monotonic()
    try:
        submission = intake.freeze(Path(folder), exercise, stage)
        card = to_json(session.grade(exercise, submission, seed=seed, level="A"))
    except ArchprepError as e:
        return {"error": f"{type(e).__name__}: {e.message}"}
    finally:
        took = time.monotonic() - started
        intake.discard(stage)
        stage.parent.rmdir()
    imported = "archprep_hostile_conftest_was_imported" in sys.modules
    result = {"card": card, "seconds": took, "peak_mb": peak_mb()}
    return result | {"imported": imported, "descriptors": descriptors() - before}


for line in sys.stdin:
    print(json.dumps(graded(**json.loads(line))), flush=True)  # noqa: T201 - the results
