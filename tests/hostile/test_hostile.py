"""Grades each hostile submission of this folder and compares with what its first lines announce.

    # case 30: the rule, in words
    # outcome: <all | task N | criterion> = <state> [reason][, or another]  # others pass
    # printed: text among its prints      # never printed: text      # told: text of the verdict

Cases of one number test one rule. Files are named by their
outcome: z loses (crash, failed, timeout, memory, output, protocol, lost: several), p passes,
s is shown harmlessly. `@NAME@` in a file is replaced by what only the judge could know.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archprep import isolation, processes

HERE = Path(__file__).parent
CONTENT = HERE / "_exercise"
GRADERS = CONTENT / "graders" / "q99_toy"
CASES = sorted([*HERE.glob("[zps]_*.py"), *(d for d in HERE.glob("[zps]_*") if d.is_dir())])
TASKS = {"weighs": 1, "refuses-negatives": 1, "fetches": 2, "asks-once": 2}
SECONDS = 1.2  # the limit of a scenario in exercise.yaml
PROCESSES = 16
PASSED = "passed"

pytestmark = pytest.mark.skipif(
    not processes.is_linux() or not isolation.find_bwraps(),
    reason="hostile code is run at level A only, which needs Linux and bubblewrap",
)

# Sources that are wrong as bytes, and valid ones that only look so (case 59).
HONEST = b"from honest import fetch, weigh\n"
SOURCES = {
    "p_59_byte_order_mark": (b"\xef\xbb\xbf" + HONEST, "all = passed", ""),
    "p_59_crlf": (HONEST.replace(b"\n", b"\r\n"), "all = passed", ""),
    "p_59_latin_1_declared": (b"# coding: latin-1\n# \xe9\n" + HONEST, "all = passed", ""),
    "p_59_utf_7_declared": (b"# coding: utf-7\n" + HONEST, "all = passed", ""),
    "z_crash_59_empty": (b"", "all = candidate_error crash", "weigh"),
    "z_crash_59_only_comments": (b"# nothing\n", "all = candidate_error crash", "weigh"),
    "z_import_59_syntax_error": (HONEST + b"def (:\n", "all = candidate_error import", "line 2"),
    "z_import_59_tabs_and_spaces": (
        HONEST + b"if fetch:\n\tx = 1\n        y = 2\n", "all = candidate_error import", "line 4",
    ),
    "z_import_59_latin_1": (
        HONEST + b"x = '\xe9'\n", "all = candidate_error import", "SyntaxError",
    ),
    "z_import_59_unknown_coding": (
        b"# coding: klingon\n" + HONEST, "all = candidate_error import", "klingon",
    ),
    "z_import_59_nul_byte": (HONEST + b"x = 1\x00\n", "all = candidate_error import", "null"),
}  # fmt: skip


@dataclass
class Server:
    """The judge in a process of its own, and what only it may know."""

    process: subprocess.Popen[str]
    tmp: Path
    cwd: Path
    canary: str
    port: int

    def grade(self, folder: Path) -> dict[str, Any]:
        """Send one case, wait for its result."""
        request = {"folder": str(folder), "seed": secrets.randbelow(10**9)}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the judge itself has died"
        result: dict[str, Any] = json.loads(answer)
        assert "card" in result, result
        return result

    def processes(self) -> list[int]:
        """What lives below the judge."""
        return processes.living(processes.below(self.process.pid))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tmp = tmp_path_factory.mktemp("tmp")
    cwd = tmp_path_factory.mktemp("cwd")
    canary = secrets.token_hex(12)
    environment = os.environ | {
        "ARCHPREP_CONTENT": str(CONTENT),
        "ARCHPREP_HOME": str(tmp_path_factory.mktemp("home")),
        "ARCHPREP_TEST_CANARY": canary,
        "TMPDIR": str(tmp),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "judge_server.py")],
            env=environment,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Server(process, tmp, cwd, canary, listener.getsockname()[1])
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_hostile_submission_gets_what_it_announces(case: Path, server: Server, tmp_path: Path):
    """Each case: its outcome, and every general condition of the catalogue."""
    source = case / "toy.py" if case.is_dir() else case
    announced = Announced.of(source.read_text())
    staged(case, tmp_path / "submission", server)
    check(server, tmp_path / "submission", announced)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_is_hard_to_read(name: str, server: Server, tmp_path: Path):
    """Case 59: what Python can read is graded, the rest is an import error with its place."""
    source, outcome, told = SOURCES[name]
    folder = staged(None, tmp_path / "submission", server)
    (folder / "toy.py").write_bytes(source)
    check(server, folder, Announced([outcome], told=[told]))


def test_a_fork_bomb_stays_within_its_limit(server: Server, tmp_path: Path):
    """Case 32: at no time are there more processes than two scenarios may have."""
    folder = staged(HERE / "z_timeout_32_fork_bomb.py", tmp_path / "submission", server)
    request = {"folder": str(folder), "seed": 1}
    server.process.stdin.write(json.dumps(request) + "\n")
    server.process.stdin.flush()
    most, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        most = max(most, len(server.processes()))
        time.sleep(0.02)
    assert "card" in json.loads(server.process.stdout.readline())
    assert PROCESSES // 2 < most <= 2 * PROCESSES + 8


def test_every_case_of_the_list_has_a_file():
    """The cases that issue 2 lists are all here."""
    text = "".join((p / "toy.py" if p.is_dir() else p).read_text() for p in CASES)
    there = {int(n) for n in re.findall(r"^# case (\d+):", text, re.MULTILINE)} | {59}
    listed = {1, 2, 3, 5, 7, 8, 9, 11, 13, 14, 17, 20, 21, 26, 30, 31, 32, 33, 34, 38, 39, 54}
    assert there >= listed | {59, 60}


@dataclass
class Announced:
    """What the first lines of a case say."""

    outcomes: list[str]
    printed: list[str] = ()
    never_printed: list[str] = ()
    told: list[str] = ()

    @classmethod
    def of(cls, source: str) -> Announced:
        """Read the comments."""
        said = {"outcome": [], "printed": [], "never printed": [], "told": []}
        for key, text in re.findall(r"^# ([a-z ]+): (.*)$", source, re.MULTILINE):
            said.setdefault(key, []).append(text)
        assert said["outcome"], "a case announces its outcome"
        return cls(said["outcome"], said["printed"], said["never printed"], said["told"])

    def allowed(self) -> dict[str, list[str]]:
        """The verdicts that each criterion may get."""
        found = {name: [PASSED] for name in TASKS}
        for outcome in self.outcomes:
            where, _, verdicts = outcome.partition(" = ")
            for name, task in TASKS.items():
                if where in {"all", f"task {task}", name}:
                    found[name] = verdicts.split(", ")
        return found


def staged(case: Path | None, folder: Path, server: Server) -> Path:
    """Lay a case out like a workspace, beside the reference, under the name `honest`."""
    folder.mkdir()
    shutil.copy(CONTENT / "solutions" / "q99_toy" / "toy.py", folder / "honest.py")
    if case is None:
        return folder
    if case.is_dir():
        shutil.copytree(case, folder, dirs_exist_ok=True)
    else:
        shutil.copy(case, folder / "toy.py")
    names = {
        "@GRADERS@": str(GRADERS),
        "@CANARY_FILE@": str(GRADERS / "canary.txt"),
        "@CANARY_1@": server.canary[:12],
        "@CANARY_2@": server.canary[12:],
        "@PORT@": str(server.port),
    }
    text = (folder / "toy.py").read_text()
    for name, value in names.items():
        text = text.replace(name, value)
    (folder / "toy.py").write_text(text)
    return folder


def check(server: Server, folder: Path, announced: Announced) -> None:
    """Grade, then compare the verdicts and hold the general conditions."""
    files_before = contents(folder)
    result = server.grade(folder)
    text = json.dumps(result["card"])
    verdicts = {
        c["id"]: f"{c['state']} {c['reason'] or ''}".strip() for c in result["card"]["criteria"]
    }
    allowed = announced.allowed()
    assert {n: v for n, v in verdicts.items() if v not in allowed[n]} == {}, text
    for criterion in result["card"]["criteria"]:
        full = criterion["points"] if criterion["state"] == PASSED else 0
        assert criterion["earned"] == full
    shown = told(result["card"])
    assert [t for t in [*announced.printed, *announced.told] if t not in shown] == [], text
    assert [t for t in announced.never_printed if t in shown] == []
    hold_general_conditions(server, result, text)
    assert contents(folder) == files_before


def hold_general_conditions(server: Server, result: dict[str, Any], text: str) -> None:
    assert result["card"]["isolation"]["level"].startswith("A")
    # Two scenarios, each with its deadline, and what it costs to start and to end.
    assert result["seconds"] < 2 * SECONDS + 2
    assert result["peak_mb"] < 300
    assert not result["imported"], "the judge has imported a submission's conftest.py"
    assert server.canary not in text
    assert "canary-in-" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(strings(result["card"])))
    assert list(server.tmp.iterdir()) == []
    assert list(server.cwd.iterdir()) == []
    until = time.monotonic() + 2
    while server.processes() and time.monotonic() < until:
        time.sleep(0.01)
    assert server.processes() == [], "something of the worker has survived"


def told(card: dict[str, Any]) -> str:
    """All that is shown of verdicts and prints."""
    parts = []
    for criterion in card["criteria"]:
        evidence = criterion["evidence"]
        parts += [criterion["observed"], evidence["output"], evidence.get("message")]
        parts += [f"line {frame['line']}" for frame in evidence["frames"]]
    return "\n".join(filter(None, parts))


def strings(value: Any) -> Iterator[str]:
    """Every string in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
