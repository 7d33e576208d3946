"""Grades hostile submissions in a separate judge, and checks what must hold for all of them.

Each case states its expected outcome in comments:

    # case 30: the rule, in words
    # exercise: q98                     # the attacked exercise: q97, q98, or q99 by default
    # outcome: <all | task N | criterion> = <state> [reason][, or another]  # others pass
    # printed: text of the output         # not printed: text      # message: text of the verdict
    # within: N seconds                   # for all its scenarios

Numbers are those of the attack catalogue; cases with the same number test the same rule. Files
are named after their outcome: z loses (crash, failed, timeout, memory, output, protocol, lost for
several), p passes, s is shown harmlessly. `@NAME@` is replaced by what only the judge could know.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from archprep.sandbox import isolation, processes

HERE = Path(__file__).parent
CONTENT = HERE / "_exercise"
CASES = sorted([*HERE.glob("[zps]_*.py"), *(d for d in HERE.glob("[zps]_*") if d.is_dir())])
PASSED = "passed"

level_a_only = pytest.mark.skipif(
    not processes.is_linux() or not isolation.find_bwraps(),
    reason="hostile code is run at level A only, which needs Linux and bubblewrap",
)


@dataclass(frozen=True)
class Toy:
    """An exercise to attack."""

    id: str
    folder: str
    entry: str
    tasks: dict[str, int]  # by criterion
    within: float  # seconds for an attempt, including its start and end
    helpers: tuple[str, ...] = ()  # files that attackers may import


PLAIN = Toy(
    "q99",
    "q99_toy",
    "toy.py",
    {"weighs": 1, "refuses-negatives": 1, "fetches": 2, "asks-once": 2},
    within=2 * 1.2 + 2,
)
SERVICE = Toy(
    "q98",
    "q98_toy_service",
    "service.py",
    {"sums": 1, "sums-at-once": 1, "values": 2, "names": 3},
    within=8,
    helpers=("raw.py",),
)
PIPELINE = Toy(
    "q97",
    "q97_toy_pipeline",
    "dags/toy.py",
    {"shape": 1, "no-work-at-import": 1, "doubles": 2, "retries": 3},
    within=24,
)


def source_of(case: Path) -> str:
    """Return the file that states the outcome."""
    return (case / PLAIN.entry if case.is_dir() else case).read_text()


def toy_of(source: str) -> Toy:
    """Return the exercise that a case attacks."""
    named = (toy for toy in (SERVICE, PIPELINE) if f"\n# exercise: {toy.id}\n" in source)
    return next(named, PLAIN)


def numbers_of(cases: list[Path]) -> set[int]:
    """Return the numbers of these cases in the attack catalogue."""
    text = "".join(map(source_of, cases))
    return {int(n) for n in re.findall(r"^# case (\d+):", text, re.MULTILINE)}


def outcome_of(name: str) -> str:
    """Return the verdict that a file's name states."""
    kind = PASSED if name.startswith("p_") else name.split("_")[1]
    return kind if kind in {PASSED, "failed"} else f"candidate_error {kind}"


@dataclass
class Server:
    """A judge in its own process, and what only it may know."""

    process: subprocess.Popen[str]
    tmp: Path
    cwd: Path
    home: Path
    others: Path  # another candidate's submissions
    canary: str
    listeners: list[socket.socket] = field(default_factory=list)

    def send(self, folder: Path, cwd: Path | None = None, toy: Toy = PLAIN) -> None:
        """Send one case to grade."""
        request = {"name": toy.id, "folder": str(folder), "seed": secrets.randbelow(10**9)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request | {"cwd": str(cwd or self.cwd)}) + "\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for the result of the case that was sent."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, "the judge itself has died"
        result: dict[str, Any] = json.loads(answer)
        assert "card" in result, result
        return result

    def processes(self) -> list[int]:
        """Return the processes below the judge."""
        return processes.living(processes.below(self.process.pid))

    def connected(self) -> list[str]:
        """Return the sockets of the judge's machine that a submission connected to."""
        found = []
        for listener in self.listeners:
            try:
                listener.accept()[0].close()
                found.append(str(listener.getsockname()))
            except BlockingIOError:
                continue
        return found


@contextmanager
def judging(factory: pytest.TempPathFactory, home: Path) -> Iterator[Server]:
    """Start a judge, and create sockets and files that submissions must not reach."""
    tmp, cwd, others = (factory.mktemp(name) for name in ("tmp", "cwd", "others"))
    canary = secrets.token_hex(12)
    (home / "results.json").write_text(canary)
    (others / "toy.py").write_text(f"# {canary}")
    environment = os.environ | {
        "ARCHPREP_CONTENT": str(CONTENT),
        "ARCHPREP_HOME": str(home),
        "ARCHPREP_TEST_CANARY": canary,
        "TMPDIR": str(tmp),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    tcp = socket.create_server(("127.0.0.1", 0))
    path, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
    path.bind(str(others / "socket"))
    abstract.bind(f"\0archprep-{canary}")
    with tcp, path, abstract:
        for listener in (tcp, path, abstract):
            listener.listen()
            listener.setblocking(False)
        process = subprocess.Popen(
            [sys.executable, str(HERE / "judge_server.py")],
            env=environment,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Server(process, tmp, cwd, home, others, canary, [tcp, path, abstract])
        finally:
            process.kill()
            process.communicate()


@dataclass
class Expected:
    """The outcome that the first lines of a case state."""

    outcomes: list[str]
    printed: list[str] = ()
    not_printed: list[str] = ()
    messages: list[str] = ()
    toy: Toy = PLAIN
    within: float = 0  # seconds; 0: the default of the exercise

    @classmethod
    def of(cls, source: str) -> Expected:
        """Read the comments."""
        stated = {"outcome": [], "printed": [], "not printed": [], "message": []}
        for key, text in re.findall(r"^# ([a-z ]+): (.*)$", source, re.MULTILINE):
            stated.setdefault(key, []).append(text)
        assert stated["outcome"], "a case must state its outcome"
        found = cls(stated["outcome"], stated["printed"], stated["not printed"], stated["message"])
        found.toy = toy_of(source)
        if "within" in stated:
            found.within = float(stated["within"][0].split()[0])
        return found

    def allowed(self) -> dict[str, list[str]]:
        """Return the verdicts that each criterion may get."""
        found = {name: [PASSED] for name in self.toy.tasks}
        for outcome in self.outcomes:
            where, _, verdicts = outcome.partition(" = ")
            for name, task in self.toy.tasks.items():
                if where in {"all", f"task {task}", name}:
                    found[name] = verdicts.split(", ")
        return found


def staged(case: Path | None, folder: Path, server: Server, toy: Toy = PLAIN) -> Path:
    """Create a workspace from a case, with the reference as the module `honest`."""
    (folder / toy.entry).parent.mkdir(parents=True)
    shutil.copy(CONTENT / "solutions" / toy.folder / toy.entry, folder / "honest.py")
    for helper in toy.helpers:
        shutil.copy(HERE / helper, folder / helper)
    if case is None:
        return folder
    if case.is_dir():
        shutil.copytree(case, folder, dirs_exist_ok=True)
    else:
        shutil.copy(case, folder / toy.entry)
    names = {
        "@GRADERS@": str(CONTENT / "graders" / toy.folder),
        "@CANARY_FILE@": str(CONTENT / "graders" / toy.folder / "canary.txt"),
        "@CANARY_1@": server.canary[:12],
        "@CANARY_2@": server.canary[12:],
        "@PORT@": str(server.listeners[0].getsockname()[1]),
        "@SOCKET@": str(server.others / "socket"),
        "@ABSTRACT@": f"archprep-{server.canary}",
        "@HOME@": str(server.home),
        "@TMP@": str(server.tmp),
        "@OTHERS@": str(server.others),
        "@WORKSPACE@": str(folder),
    }
    text = (folder / toy.entry).read_text()
    for name, value in names.items():
        text = text.replace(name, value)
    (folder / toy.entry).write_text(text)
    return folder


def check(
    server: Server, folder: Path, expected: Expected, cwd: Path | None = None
) -> dict[str, Any]:
    """Grade a case and check its verdicts and the general conditions; return the scorecard."""
    files_before = contents(folder)
    server.send(folder, cwd, expected.toy)
    result = server.result()
    text = json.dumps(result["card"])
    verdicts = {
        c["id"]: f"{c['state']} {c['reason'] or ''}".strip() for c in result["card"]["criteria"]
    }
    allowed = expected.allowed()
    assert {n: v for n, v in verdicts.items() if v not in allowed[n]} == {}, text
    for criterion in result["card"]["criteria"]:
        full = criterion["points"] if criterion["state"] == PASSED else 0
        assert criterion["earned"] == full
    shown = shown_text(result["card"])
    assert [t for t in [*expected.printed, *expected.messages] if t not in shown] == [], text
    assert [t for t in expected.not_printed if t in shown] == []
    assert result["seconds"] < (expected.within or expected.toy.within)
    check_general_conditions(server, result, text)
    assert contents(folder) == files_before
    return result["card"]


def check_general_conditions(server: Server, result: dict[str, Any], text: str) -> None:
    assert result["card"]["isolation"]["level"].startswith("A")
    assert result["peak_mb"] < 300
    assert result["descriptors"] == 0, "the judge keeps descriptors open"
    assert not result["imported"], "the judge has imported a submission's conftest.py"
    assert server.canary not in text
    assert "canary-in-" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(strings(result["card"])))
    assert len(text) < 100_000, "text from a candidate must be limited"
    assert server.connected() == []
    assert list(server.tmp.iterdir()) == []
    assert list(server.cwd.iterdir()) == []
    until = time.monotonic() + 2
    while server.processes() and time.monotonic() < until:
        time.sleep(0.01)
    assert server.processes() == [], "a process of the worker has survived"


def shown_text(card: dict[str, Any]) -> str:
    """Return everything that is shown of verdicts and output."""
    parts = []
    for criterion in card["criteria"]:
        evidence = criterion["evidence"]
        parts += [criterion["observed"], evidence["output"], evidence.get("message")]
        parts += [f"line {frame['line']}" for frame in evidence["frames"]]
    return "\n".join(filter(None, parts))


def strings(value: Any) -> Iterator[str]:
    """Yield every string in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
