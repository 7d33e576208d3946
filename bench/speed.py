"""Prints how fast archprep is, as ratios measured in one run: `python bench/speed.py`.

Each pair of commands runs in turn, A B A B …, so that a machine whose speed drifts slows
both alike; what is printed is the median of the ratios, beside the bar it has to meet.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHPREP = str(Path(sys.executable).with_name("archprep"))
REFERENCE = ROOT / "solutions" / "q01_event_bus"
SEED = "1"
LOOP = """

async def _spin(*_args, **_kwargs):
    while True:
        pass


Bus.replay = _spin
"""


@dataclass
class Pair:
    """A command, what it is measured against, and the most that the ratio may be."""

    name: str
    command: Sequence[str]
    against: Sequence[str]
    bar: float
    env: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Measure every pair and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHPREP_HOME"] = str(Path(folder, "home"))
        workspace = _workspace(Path(folder))
        print(f"{'what':<34}{'median':>9}{'ratio':>8}{'min':>7}{'max':>7}{'bar':>6}")
        for pair in _pairs(workspace):
            _report(pair, runs)
        _endless_loop(workspace)


def _workspace(folder: Path) -> Path:
    """Start q1 and put the reference in place; the first check also runs the self-test."""
    workspace = folder / "q1"
    _run([ARCHPREP, "start", "q1", "--dir", str(workspace)])
    for path in REFERENCE.glob("*.py"):
        shutil.copy(path, workspace)
    _run([ARCHPREP, "check", "q1", "--dir", str(workspace)])
    return workspace


def _pairs(workspace: Path) -> list[Pair]:
    python = sys.executable
    plain = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "archprep.grading",
        "-p",
        "plain",
        "--import-mode=importlib",
    ]
    graders = ROOT / "graders" / "q01_event_bus"
    env = {
        "PYTHONPATH": str(ROOT / "bench"),
        "PLAIN_SUBMISSION": str(REFERENCE),
        "PLAIN_SEED": SEED,
    }
    return [
        Pair("list / import typer", [ARCHPREP, "list"], [python, "-c", "import typer"], 2.0),
        Pair(
            "check q1 / plain pytest in-process",
            [ARCHPREP, "check", "q1", "--dir", str(workspace), "--seed", SEED],
            [*plain, "--rootdir", str(graders.parent), "-c", os.devnull, str(graders)],
            1.6,
            env,
        ),
    ]


def _report(pair: Pair, runs: int) -> None:
    times, ratios = [], []
    for number in range(runs + 1):
        a, b = _seconds(pair.command, {}), _seconds(pair.against, pair.env)
        if number:  # the first round warms the disk cache
            times.append(a)
            ratios.append(a / b)
    middle = statistics.median(ratios)
    mark = "" if middle <= pair.bar else "  above the bar"
    print(
        f"{pair.name:<34}{statistics.median(times):>7.3f} s{middle:>8.2f}"
        f"{min(ratios):>7.2f}{max(ratios):>7.2f}{pair.bar:>6.1f}{mark}"
    )


def _endless_loop(workspace: Path) -> None:
    """Let one method loop forever: it costs its criteria and at most 5 s a scenario."""
    sane = _seconds([ARCHPREP, "check", "q1", "--dir", str(workspace)], {})
    with (workspace / "eventbus.py").open("a") as file:
        file.write(LOOP)
    started = time.perf_counter()
    done = subprocess.run(
        [ARCHPREP, "check", "q1", "--dir", str(workspace)],
        capture_output=True,
        text=True,
        check=False,
    )
    extra = time.perf_counter() - started - sane
    score = next(line for line in done.stdout.splitlines() if line.startswith("Score"))
    print(f"an endless loop in replay(): {extra:.1f} s more (bar: 5 s a scenario), {score}")


def _seconds(command: Sequence[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    _run(command, env)
    return time.perf_counter() - started


def _run(command: Sequence[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | (env or {}), check=False
    )
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-2000:]
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{said}")


if __name__ == "__main__":
    main()
