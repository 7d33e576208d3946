"""Prints what a loaded machine does to scores: `python bench/load.py [q12] [--at-once 8]`.

Checks the reference and each right answer of an exercise many times at once. A deadline counts the
time a scenario could have run, so every score must be 100.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed import ARCHPREP

from archprep.content import catalog, exercise_files
from archprep.core.model import Exercise


def main() -> None:
    """Check each answer several times at once and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exercise", nargs="?", default="q12")
    parser.add_argument("--at-once", type=int, default=8)
    asked = parser.parse_args()
    exercise = catalog.get(asked.exercise)
    answers = {"reference": exercise_files.reference(exercise)}
    answers |= exercise_files.right_answers(exercise)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHPREP_HOME"] = str(Path(folder, "home"))
        for name, files in answers.items():
            workspace = _workspace(exercise, files, Path(folder, name))
            started = time.monotonic()
            scores = _check_at_once(workspace, exercise.id, asked.at_once)
            print(f"{name:<28}{scores}  {time.monotonic() - started:.1f} s", flush=True)
            if set(scores) != {100}:
                sys.exit(f"{name} loses points on a loaded machine")


def _workspace(exercise: Exercise, files: dict[str, str], folder: Path) -> Path:
    subprocess.run(
        [ARCHPREP, "start", exercise.id, "--dir", str(folder)], check=True, capture_output=True
    )
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def _check_at_once(workspace: Path, exercise: str, count: int) -> list[int]:
    command = [ARCHPREP, "check", exercise, "--dir", str(workspace), "--seed"]
    running = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(count)
    ]
    printed = [process.communicate()[0] for process in running]
    return [int(re.search(r"Score (\d+)/", text)[1]) for text in printed]  # type: ignore[index]


if __name__ == "__main__":
    main()
