"""Fixtures shared by the tests: a tiny catalog and a private home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import archprep
from archprep.content import catalog
from archprep.core.model import Exercise

MANIFEST = """\
id: q{number}
title: {title}
section: {section}
difficulty: hard
minutes: 90
version: 1
summary: One line for the list.
entry: [answer.py]
tasks:
  - {{number: 1, title: First}}
  - {{number: 2, title: Second, needs: [1]}}
"""
FILES = {
    "exercises": {
        "brief.md": "# {{ exercise.title }}\n\nWork in {{ workspace.name }}.\n",
        "hints.md": (
            "# Hints\n\n## adding\n\n1. Look at `add`.\n2. It adds:\n\n   ```\n   a + b\n   ```\n"
        ),
        "discussion.md": "Why this way?\n",
        "starter/answer.py": "def add(a: int, b: int) -> int:\n    raise NotImplementedError\n",
        "starter/test_examples.py": "def test_nothing() -> None: ...\n",
    },
    "solutions": {
        "answer.py": "def add(a: int, b: int) -> int:\n    return a + b\n",
        "notes.md": "Addition is built in.\n",
        "rubric.yaml": "- question: Why?\n  covers: [simplicity]\n",
    },
    "graders": {
        "probes.py": "",
        "test_answer.py": "",
        "wrong/minus.yaml": (
            "defect: near miss\nsays: it subtracts\nloses: [adds]\n"
            "edits:\n  answer.py:\n    - {replace: a + b, by: a - b}\n"
        ),
    },
}


def write_tree(root: Path, files: dict[str, str]) -> None:
    """Write `files` under `root`, dedented."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def write_exercise(root: Path, folder: str, section: str = "Basics") -> None:
    """A complete tiny exercise in `folder` under the three roots."""
    number, _, slug = folder[1:].partition("_")
    for kind, files in FILES.items():
        write_tree(root / kind / folder, files)
    title = slug.replace("_", " ").capitalize()
    manifest = MANIFEST.format(number=int(number), title=title, section=section)
    write_tree(root / "exercises" / folder, {"exercise.yaml": manifest})


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A content root with q1 and q3; archprep looks there."""
    root = tmp_path / "content"
    write_exercise(root, "q01_event_bus")
    write_exercise(root, "q03_rate_limiting", section="Web")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(root))
    return root


@pytest.fixture
def exercise(content: Path) -> Exercise:
    """The tiny q1."""
    assert content.is_dir()
    return catalog.get("q1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ARCHPREP_HOME of this test's own; it does not exist yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("ARCHPREP_HOME", str(path))
    return path


@dataclass
class OrdinaryUser:
    """Somebody for whom permissions count, with a folder of their own."""

    folder: Path

    def become(self) -> None:
        """Run the rest of the test as this user: root may read and write everything."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, 65534, 65534)
            os.seteuid(65534)


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    """An ordinary user, whom the test may `become`; it is undone afterwards."""
    # Not under tmp_path, whose parents are closed to other users.
    folder = Path(tempfile.mkdtemp())
    me = os.geteuid()
    yield OrdinaryUser(folder)
    os.seteuid(me)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def theirs(user: OrdinaryUser, content: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise:
    """The exercise where the ordinary user can read it."""
    shutil.copytree(content, user.folder / "content")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(user.folder / "content"))
    return catalog.get("q1")


ORDINARY_UID = 54321


def as_ordinary(python: str, home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a Python as a user with no rights, who sees our code and libraries."""
    paths = [Path(archprep.__file__).parents[1], sysconfig.get_path("purelib")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "ARCHPREP_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ids = ["--reuid", str(ORDINARY_UID), "--regid", str(ORDINARY_UID), "--clear-groups"]
    return subprocess.run(
        ["setpriv", *ids, "--", python, *args],
        env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


USABLE = """
import os, sys
import archprep.sandbox.selftest, psutil, msgspec
sys.exit(not os.access(os.path.realpath(sys.executable), os.X_OK))
"""


def python_for_all() -> str | None:
    """This Python, or the system's of the same version, if an ordinary user can use it."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if shutil.which("setpriv") is None:
        return None
    for found in (os.path.realpath(sys.executable), shutil.which(version, path="/usr/bin:/bin")):
        if found and as_ordinary(found, Path("/tmp"), "-c", USABLE).returncode == 0:
            return found
    return None


# ------------------------------------------------------------------ the commands, run for real

GRADER = """
from archprep.grading import assert_same, criterion, scenario


@scenario
def sums(candidate, rng):
    pairs = [[rng.randrange(10**6), rng.randrange(10**6)] for _ in range(4)]
    return pairs, candidate.observe("add_all", pairs=pairs, returns=list[int])


@criterion("Adds two numbers", task=1, points=60, hint="adding")
def test_adds(sums):
    pairs, seen = sums
    assert_same(seen, [a + b for a, b in pairs], says="each pair is added", given=f"{pairs}")


@criterion("Adds to nothing", task=2, points=40, hint="adding")
def test_adds_to_nothing(candidate, rng):
    number = rng.randrange(1, 10**6)
    seen = candidate.observe("add_all", pairs=[[0, number]])
    assert_same(seen, [number], says="nothing and n make n")
"""
PROBES = """
def add_all(pairs):
    from answer import add

    return [add(a, b) for a, b in pairs]
"""
HINTS = "## adding\n\n1. Think of the sum.\n2. Python has an operator for it.\n3. It is `+`.\n"
RIGHT = "def add(a, b):\n    return a + b\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run archprep with a small catalog of its own, in a folder of its own."""
    root = tmp_path / "content"
    for folder in ("q01_adding", "q03_more"):
        write_exercise(root, folder)
        write_tree(root / "graders" / folder, {"probes.py": PROBES, "test_answer.py": GRADER})
        write_tree(root / "exercises" / folder, {"hints.md": HINTS})
    monkeypatch.setenv("ARCHPREP_CONTENT", str(root))
    where = tmp_path / "desk"
    where.mkdir()

    def archprep(
        *args: str, cwd: Path = where, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "archprep", *args]
        return subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    archprep.desk = where  # type: ignore[attr-defined]
    return archprep


@pytest.fixture
def desk(run: Run) -> Path:
    """The folder the user stands in."""
    return run.desk  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def workspace(run: Run, desk: Path) -> Path:
    """A started workspace of q1."""
    assert run("start", "q1").returncode == 0
    return desk / "q01_adding"
