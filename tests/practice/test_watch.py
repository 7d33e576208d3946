"""Watching a workspace: each save is graded by the same fork server; no process is left."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import RIGHT, Run

WRONG = "def add(a, b):\n    return a - b\n"
PATIENCE = 30.0


class Watching:
    """A running `archprep watch`, and what it has printed so far."""

    def __init__(self, workspace: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "archprep", "watch"],
                cwd=workspace,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def says(self, text: str, times: int = 1) -> bool:
        """Whether it prints a text this often in time."""
        return until(lambda: " ".join(self.log.read_text().split()).count(text) >= times)

    def sandbox(self) -> list[int]:
        """The processes below it."""
        return [p.pid for p in psutil.Process(self.process.pid).children(recursive=True)]


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(pids: list[int]) -> bool:
    def alive(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return until(lambda: not any(alive(pid) for pid in pids))


@pytest.fixture
def watching(run: Run, workspace: Path, tmp_path: Path) -> Iterator[Watching]:
    """A watch on a new workspace."""
    assert run("list").returncode == 0
    made = Watching(workspace, tmp_path / "log")
    yield made
    made.process.kill()
    made.process.wait()


def test_a_complaint_goes_with_its_cause(watching: Watching, workspace: Path):
    """Even if the files are then as they were graded; a folder that is replaced is followed."""
    assert watching.says("Score 0/100")
    (workspace / "answer.py").rename(workspace.parent / "away.py")
    assert watching.says("answer.py is missing")
    (workspace.parent / "away.py").rename(workspace / "answer.py")
    assert watching.says("Score 0/100", times=2)
    workspace.rename(workspace.parent / "old")
    assert watching.says("does not exist")
    shutil.copytree(workspace.parent / "old", workspace)
    (workspace / "answer.py").write_text(RIGHT)
    assert watching.says("Score 100/100")


def test_each_save_is_graded(watching: Watching, workspace: Path):
    """At once, and after each save, with the change of the score."""
    assert watching.says("Score 0/100")
    (workspace / "answer.py").write_text(RIGHT)
    assert watching.says("Score 100/100 (+100)")
    (workspace / "answer.py").write_text(WRONG)
    assert watching.says("Score 0/100 (-100)")
    assert watching.says("each pair is added")


def test_libraries_stay_loaded_between_saves(watching: Watching, workspace: Path):
    """The same fork server serves every save; between saves nothing else is in the sandbox."""
    assert watching.says("Watching")
    before = watching.sandbox()
    (workspace / "answer.py").write_text(RIGHT)
    assert watching.says("Score 100/100")
    assert watching.says("Watching", times=2)
    assert until(lambda: watching.sandbox() == before)


def test_it_survives_whatever_is_saved(watching: Watching, workspace: Path):
    """A syntax error, half a file, a missing file: it is shown, and watching goes on."""
    assert watching.says("Score 0/100")
    (workspace / "answer.py").write_text("def add(a, b:\n")
    assert watching.says("SyntaxError")
    (workspace / "answer.py").rename(workspace / "elsewhere.txt")
    assert watching.says("answer.py is missing")
    (workspace / "answer.py").write_text("import os\nos._exit(0)\n")
    assert watching.says("exit status 0")
    (workspace / "answer.py").write_text(RIGHT)
    assert watching.says("Score 100/100")


def test_what_is_not_changed_is_not_graded_again(watching: Watching, workspace: Path, run: Run):
    """Saving the same bytes, or a file outside the submission, is not an attempt."""
    assert watching.says("Watching")
    (workspace / "answer.py").write_bytes((workspace / "answer.py").read_bytes())
    (workspace / "answer.pyc").write_bytes(b"")
    (workspace / "answer.py").write_text(RIGHT)
    assert watching.says("Score 100/100")
    assert "2 attempts" in run("progress").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ending_it_leaves_no_process(watching: Watching, number: int):
    """Ctrl-C, SIGTERM, a closed terminal: everything below it ends."""
    assert watching.says("Watching")
    below = watching.sandbox()
    assert below
    watching.process.send_signal(number)
    assert watching.process.wait(PATIENCE) in (130, 128 + number)
    assert gone(below)
    assert "Traceback" not in watching.log.read_text()


def test_killing_it_leaves_no_process(watching: Watching):
    """Not even after SIGKILL."""
    assert watching.says("Watching")
    below = watching.sandbox()
    watching.process.kill()
    assert gone(below)


def test_a_terminal_that_is_closed_ends_it(run: Run, workspace: Path):
    """Closing the window in which it runs ends it and its sandbox."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(workspace)
        os.execv(sys.executable, [sys.executable, "-m", "archprep", "watch"])
    seen = b""
    while b"Watching" not in seen:
        seen += os.read(terminal, 4096)
    below = [p.pid for p in psutil.Process(pid).children(recursive=True)]
    os.close(terminal)
    assert gone([pid, *below])
    os.waitpid(pid, 0)
