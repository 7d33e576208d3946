"""Prints how fast a class is graded, against plain processes: `python bench/batch.py`.

A synthetic class of an exercise (right, wrong, hanging, broken) is graded by one `archprep grade
--jobs 2`, and by one plain process for each submission, two at a time: the same graders, cases
and seed, without a sandbox. A hanging one is ended there when archprep would give it up; archprep
grades it once more, alone. What is printed is submissions per minute, and the ratio.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import speed

from archprep.content import catalog, exercise_files
from archprep.content.wrong_answers import find_wrong_answers, read_wrong_answer
from archprep.core.model import Exercise
from archprep.interview.batch import grading_run
from archprep.interview.model import Batch
from archprep.interview.results.results_folder import ResultsFolder
from archprep.worker import protocol

BARS = {"q1": 1.2, "q3": 1.2, "q6": 1.4}  # at least
JOBS = 2
SEED = 1
HANGING = "\nwhile True:\n    pass\n"
BROKEN = "\ndef broken(:\n"
LONGEST = 60  # seconds that a plain process gets for a wrong answer that hangs


def main() -> None:
    """Measure each exercise and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=20, help="submissions of each exercise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", help="q1, q3, q6; all of them unless given")
    asked = parser.parse_args()
    print(f"{'submissions per minute':<26}{'grade':>8}{'plain':>8}{'ratio':>8}{'bar':>6}")
    for name in asked.names or BARS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ARCHPREP_HOME"] = str(Path(folder, "home"))
            _measure(catalog.get(name), Path(folder), asked.number, asked.rounds)


def _measure(exercise: Exercise, folder: Path, number: int, rounds: int) -> None:
    submissions = _class(exercise, folder / "class", number)
    seed = str(grading_run.seed_of(_begin(exercise, folder), exercise.id))
    measured = []
    for turn in range(rounds):
        graded = _seconds(_grade, folder / "class", folder / f"results{turn}")
        plain = _seconds(_plain, exercise, submissions, folder, seed)
        measured.append((60 * number / graded, 60 * number / plain))
    ratio = statistics.median(a / b for a, b in measured)
    ours, plains = (statistics.median(values) for values in zip(*measured, strict=True))
    bar = BARS[exercise.id]
    mark = "" if ratio >= bar else "  below the bar"
    what = f"{exercise.id}, {number} submissions"
    print(f"{what:<26}{ours:>8.1f}{plains:>8.1f}{ratio:>8.2f}{bar:>6.1f}{mark}", flush=True)


# -- the class ---------------------------------------------------------------------------------


def _class(exercise: Exercise, folder: Path, number: int) -> list[Path]:
    """Of twenty, twelve are right, six are wrong, one hangs and one is broken."""
    right = exercise_files.reference(exercise)
    wrong = itertools.cycle(_wrong(exercise, right))
    entry = exercise.entry[0]
    made = []
    for count in range(number):
        files = dict(right)
        if count % 20 == 7:
            files[entry] += HANGING
        elif count % 20 == 13:
            files[entry] += BROKEN
        elif count % 3 == 2:
            files = next(wrong)
        made.append(_submission(exercise, folder / f"candidate-{count + 1:03}", files))
    return made


def _wrong(exercise: Exercise, right: dict[str, str]) -> list[dict[str, str]]:
    paths = find_wrong_answers(exercise)
    return [read_wrong_answer(path).files(right) for path in paths[:: max(1, len(paths) // 6)]]


def _submission(exercise: Exercise, place: Path, files: dict[str, str]) -> Path:
    speed._run([speed.ARCHPREP, "start", exercise.id, "--dir", str(place)])  # noqa: SLF001
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    return place


# -- archprep ----------------------------------------------------------------------------------


def _begin(exercise: Exercise, folder: Path) -> Batch:
    """Grade one alone: what is made once, such as Airflow's database, is there afterwards."""
    _class(exercise, folder / "first", 1)
    _grade(folder / "first", folder / "results")
    return ResultsFolder(folder / "results").batch()


def _grade(submissions: Path, out: Path) -> None:
    options = ["--out", str(out), "--jobs", str(JOBS), "--seed", str(SEED)]
    speed._run([speed.ARCHPREP, "grade", str(submissions), *options])  # noqa: SLF001


# -- plain processes ---------------------------------------------------------------------------


def _plain(exercise: Exercise, submissions: list[Path], folder: Path, seed: str) -> None:
    with ThreadPoolExecutor(JOBS) as pool:
        jobs = [pool.submit(_play, exercise, one, folder, seed) for one in submissions]
        for job in jobs:
            job.result()


def _play(exercise: Exercise, submission: Path, folder: Path, seed: str) -> None:
    hangs = any((submission / name).read_text().endswith(HANGING) for name in exercise.entry)
    given_up = min(exercise.limits.seconds, protocol.IMPORT_SECONDS)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, suppress(subprocess.TimeoutExpired):
        subprocess.run(
            list(_command(exercise)),
            env=os.environ | _environment(exercise, submission, Path(scratch), seed),
            capture_output=True,
            timeout=given_up if hangs else LONGEST,
            check=False,
        )


def _command(exercise: Exercise) -> Iterator[str]:
    yield from (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    yield from ("-p", "archprep.grading.api", "-p", "plain", "--import-mode=importlib")
    yield from ("--rootdir", str(exercise.grader_dir.parent), "-c", os.devnull)
    yield str(exercise.grader_dir)


def _environment(exercise: Exercise, submission: Path, scratch: Path, seed: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(speed.ROOT / "bench"),
        "PLAIN_SUBMISSION": str(submission),
        "PLAIN_SCRATCH": str(scratch),
        "PLAIN_SEED": seed,
        **speed._stack(exercise.id, scratch),  # noqa: SLF001
    }


def _seconds(work: Callable[..., None], *given: object) -> float:
    started = time.perf_counter()
    work(*given)
    return time.perf_counter() - started


if __name__ == "__main__":
    shutil.which("bwrap") or sys.exit("This measures grading in a sandbox: bubblewrap is missing.")
    main()
