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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archprep.content import catalog
from archprep.sandbox.services import airflow_home
from archprep.worker.airflow import TEMPLATE

ROOT = Path(__file__).parents[1]
ARCHPREP = str(Path(sys.executable).with_name("archprep"))
REFERENCES = {
    "q1": "q01_event_bus",
    "q3": "q03_rate_limiting",
    "q6": "q06_dynamic_dag",
    "q12": "q12_oauth2_jwt",
}
BARS = {"q1": 1.6, "q3": 1.3, "q6": 0.9, "q12": 1.3}  # of a check, against one plain process
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
    env: dict[str, str] = field(default_factory=dict)  # of what it is measured against
    command_env: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Measure every pair, or those of some names, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("names", nargs="*", help="list, fixed, q1, q3, q6, q12; default: all")
    asked = parser.parse_args()
    names = asked.names or ["list", "fixed", *REFERENCES]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHPREP_HOME"] = str(Path(folder, "home"))
        os.environ["PLAIN_SCRATCH"] = folder
        print(f"{'what':<36}{'median':>9}{'ratio':>8}{'min':>7}{'max':>7}{'bar':>6}")
        for name in names:
            _measure(name, Path(folder), asked.runs)


def _measure(name: str, folder: Path, runs: int) -> None:
    if name == "fixed":
        _fixed_cost(folder, runs)
        return
    if name == "list":
        plain = [sys.executable, "-c", "import typer"]
        _report(Pair("list / import typer", [ARCHPREP, "list"], plain, 2.0), runs)
        return
    workspace = _workspace(folder, name)
    pair = _check(name, workspace)
    _report(pair, runs)
    if name == "q1":
        _endless_loop(workspace)
    if name == "q3":
        _watch(Pair("watch q3, save to scorecard / check", (), pair.command, 0.5), workspace, runs)
    if name == "q6":
        bar = "watch q6, save to scorecard / plain"
        _watch(Pair(bar, (), pair.against, 0.5, pair.env), workspace, runs)


def _fixed_cost(folder: Path, runs: int) -> None:
    """Five small criteria against the same five tests in plain pytest, without any plugin."""
    content = ROOT / "bench" / "content"
    env = {"ARCHPREP_CONTENT": str(content), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    workspace = folder / "q90"
    _run([ARCHPREP, "start", "q90", "--dir", str(workspace)], env)
    shutil.copy(content / "solutions" / "q90_five_functions" / "answer.py", workspace)
    env["PYTHONPATH"] = str(workspace)
    plain = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    plain += ["--rootdir", str(folder), str(content / "plain_five.py")]
    check = [ARCHPREP, "check", "q90", "--dir", str(workspace)]
    _run(check, env)  # the self-test
    _report(Pair("check of five small criteria / pytest", check, plain, 1.2, env, env), runs)


def _workspace(folder: Path, name: str) -> Path:
    """Start an exercise and put the reference in place; the first check runs the self-test, too."""
    workspace = folder / name
    _run([ARCHPREP, "start", name, "--dir", str(workspace)])
    solution = ROOT / "solutions" / REFERENCES[name]
    for path in solution.rglob("*.py"):
        shutil.copy(path, workspace / path.relative_to(solution))
    _run([ARCHPREP, "check", name, "--dir", str(workspace)])
    return workspace


def _check(name: str, workspace: Path) -> Pair:
    """The whole command, against the same graders, cases and seed in one plain process.

    The plain process plays no sweep: it has no second place for the reference.
    """
    plain = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "archprep.grading.api",
        "-p",
        "plain",
        "--import-mode=importlib",
    ]
    graders = ROOT / "graders" / REFERENCES[name]
    env = {
        "PYTHONPATH": str(ROOT / "bench"),
        "PLAIN_SUBMISSION": str(workspace),
        "PLAIN_SEED": SEED,
        **_stack(name, workspace.parent),
    }
    return Pair(
        f"check {name} / plain pytest in-process",
        _checked(name, workspace),
        [
            *plain,
            "--rootdir",
            str(graders.parent),
            "-c",
            os.devnull,
            "-k",
            "not sweep",
            str(graders),
        ],
        BARS[name],
        env,
    )


def _stack(name: str, folder: Path) -> dict[str, str]:
    """What Airflow needs in a plain process, where the exercise wants Airflow."""
    if catalog.get(name).stack is None:
        return {}
    template = airflow_home.template(print)
    return airflow_home.environment(str(folder / "airflow")) | {TEMPLATE: str(template)}


def _checked(name: str, workspace: Path) -> list[str]:
    return [ARCHPREP, "check", name, "--dir", str(workspace), "--seed", SEED]


def _report(pair: Pair, runs: int) -> None:
    measured = [
        (_seconds(pair.command, pair.command_env), _seconds(pair.against, pair.env))
        for _ in range(runs + 1)
    ]
    _print(pair.name, measured[1:], pair.bar)  # the first round warms the disk cache


def _print(name: str, measured: list[tuple[float, float]], bar: float) -> None:
    ratios = [a / b for a, b in measured]
    middle = statistics.median(ratios)
    mark = "" if middle <= bar else "  above the bar"
    print(
        f"{name:<36}{statistics.median(a for a, _ in measured):>7.3f} s{middle:>8.2f}"
        f"{min(ratios):>7.2f}{max(ratios):>7.2f}{bar:>6.1f}{mark}",
        flush=True,
    )


def _watch(pair: Pair, workspace: Path, runs: int) -> None:
    """From a save to the scorecard, while `watch` keeps its sandbox warm."""
    name = workspace.name
    (code,) = (workspace / entry for entry in catalog.get(name).entry)
    command = [ARCHPREP, "watch", name, "--dir", str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        _await_scorecard(watching.stdout)
        measured = []
        for number in range(runs):
            started = time.perf_counter()
            with code.open("a") as file:
                file.write(f"# {number}\n")
            _await_scorecard(watching.stdout)
            saved = time.perf_counter() - started
            measured.append((saved, _seconds(pair.against, pair.env)))
        watching.terminate()
    _print(pair.name, measured, pair.bar)


def _await_scorecard(lines: Iterable[str]) -> None:
    for line in lines:
        if line.startswith("Watching"):
            return
    sys.exit("archprep watch has ended")


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
