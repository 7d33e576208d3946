"""Grades a hostile submission in a judge of its own and holds what every case has to hold.

    # case 30: the rule, in words
    # exercise: q98                     # attacked: q97, q98; q99 where nothing is said
    # outcome: <all | task N | criterion> = <state> [reason][, or another]  # others pass
    # printed: text among its prints      # never printed: text      # told: text of the verdict
    # within: N seconds                   # of all its scenarios

Numbers are those of the attack catalogue; cases of one number test one rule. Files are named by
their outcome: z loses (crash, failed, timeout, memory, output, protocol, lost: several), p passes,
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
    tasks: dict[str, int]  # of its criteria
    within: float  # seconds that an attempt may take, with what it costs to start and to end
    helpers: tuple[str, ...] = ()  # files for the attackers, laid beside


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
    """What announces the outcome."""
    return (case / PLAIN.entry if case.is_dir() else case).read_text()


def toy_of(source: str) -> Toy:
    """The exercise that a case attacks."""
    said = (toy for toy in (SERVICE, PIPELINE) if f"\n# exercise: {toy.id}\n" in source)
    return next(said, PLAIN)


def numbers_of(cases: list[Path]) -> set[int]:
    """The numbers that these cases have in the catalogue."""
    text = "".join(map(source_of, cases))
    return {int(n) for n in re.findall(r"^# case (\d+):", text, re.MULTILINE)}


def outcome_of(name: str) -> str:
    """The verdict that a name announces."""
    kind = PASSED if name.startswith("p_") else name.split("_")[1]
    return kind if kind in {PASSED, "failed"} else f"candidate_error {kind}"


@dataclass
class Server:
    """The judge in a process of its own, and what only it may know."""

    process: subprocess.Popen[str]
    tmp: Path
    cwd: Path
    home: Path
    others: Path  # another candidate's submissions
    canary: str
    listeners: list[socket.socket] = field(default_factory=list)

    def ask(self, folder: Path, cwd: Path | None = None, toy: Toy = PLAIN) -> None:
        """Send one case."""
        request = {"name": toy.id, "folder": str(folder), "seed": secrets.randbelow(10**9)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request | {"cwd": str(cwd or self.cwd)}) + "\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for the result of what was asked."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, "the judge itself has died"
        result: dict[str, Any] = json.loads(answer)
        assert "card" in result, result
        return result

    def processes(self) -> list[int]:
        """What lives below the judge."""
        return processes.living(processes.below(self.process.pid))

    def knocked(self) -> list[str]:
        """The sockets of the judge's machine that somebody has connected to."""
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
    """Start a judge, with sockets and files beside it that are not for submissions."""
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
class Announced:
    """What the first lines of a case say."""

    outcomes: list[str]
    printed: list[str] = ()
    never_printed: list[str] = ()
    told: list[str] = ()
    toy: Toy = PLAIN
    within: float = 0  # seconds; 0: as long as the exercise says

    @classmethod
    def of(cls, source: str) -> Announced:
        """Read the comments."""
        said = {"outcome": [], "printed": [], "never printed": [], "told": []}
        for key, text in re.findall(r"^# ([a-z ]+): (.*)$", source, re.MULTILINE):
            said.setdefault(key, []).append(text)
        assert said["outcome"], "a case announces its outcome"
        found = cls(said["outcome"], said["printed"], said["never printed"], said["told"])
        found.toy = toy_of(source)
        if "within" in said:
            found.within = float(said["within"][0].split()[0])
        return found

    def allowed(self) -> dict[str, list[str]]:
        """The verdicts that each criterion may get."""
        found = {name: [PASSED] for name in self.toy.tasks}
        for outcome in self.outcomes:
            where, _, verdicts = outcome.partition(" = ")
            for name, task in self.toy.tasks.items():
                if where in {"all", f"task {task}", name}:
                    found[name] = verdicts.split(", ")
        return found


def staged(case: Path | None, folder: Path, server: Server, toy: Toy = PLAIN) -> Path:
    """Lay a case out like a workspace, beside the reference, under the name `honest`."""
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
    server: Server, folder: Path, announced: Announced, cwd: Path | None = None
) -> dict[str, Any]:
    """Grade, then compare the verdicts and hold the general conditions; return the result."""
    files_before = contents(folder)
    server.ask(folder, cwd, announced.toy)
    result = server.result()
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
    assert result["seconds"] < (announced.within or announced.toy.within)
    hold_general_conditions(server, result, text)
    assert contents(folder) == files_before
    return result["card"]


def hold_general_conditions(server: Server, result: dict[str, Any], text: str) -> None:
    assert result["card"]["isolation"]["level"].startswith("A")
    assert result["peak_mb"] < 300
    assert result["descriptors"] == 0, "the judge holds what it was given to"
    assert not result["imported"], "the judge has imported a submission's conftest.py"
    assert server.canary not in text
    assert "canary-in-" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(strings(result["card"])))
    assert len(text) < 100_000, "what a candidate says is bounded"
    assert server.knocked() == []
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
