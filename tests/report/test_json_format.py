"""The JSON contract: tests/golden pins it, docs/result-format.md explains it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report.test_samples import CRASH, SAMPLES, scorecard

from archprep.core.errors import Exit, UsageError
from archprep.core.model import FORMAT
from archprep.report import dumps, from_json, loads, to_json

GOLDEN = Path(__file__).parents[1] / "golden"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "result-format.md"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_document_is_the_golden_file(name: str) -> None:
    """A change of the format is a decision: ARCHPREP_WRITE_GOLDEN=1 writes the files anew."""
    path = GOLDEN / f"{name}.json"
    if os.environ.get("ARCHPREP_WRITE_GOLDEN"):
        path.write_text(dumps(SAMPLES[name]))
    assert dumps(SAMPLES[name]) == path.read_text()


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_gives_the_scorecard_back(name: str) -> None:
    """What is kept of an attempt is the whole of it."""
    assert loads((GOLDEN / f"{name}.json").read_text()) == SAMPLES[name]
    assert from_json(to_json(SAMPLES[name])) == SAMPLES[name]


def test_the_contract_of_the_issue() -> None:
    """Programs rely on these names; a name may be added, never taken away."""
    data = to_json(SAMPLES["mixed"])
    assert data["format"] == FORMAT
    assert set(data) >= {
        *("format", "exercise", "title", "exercise_version", "archprep_version", "score"),
        *("max_score", "partial", "seed", "started_at", "duration_s", "isolation"),
        *("submission", "tasks", "criteria"),
    }
    assert set(data["isolation"]) >= {
        *("level", "tool", "kernel", "uid", "seccomp", "selftest", "sentence", "limits"),
    }
    assert set(data["submission"]) == {"digest", "files"}
    for criterion in data["criteria"]:
        assert set(criterion) >= {
            *("id", "title", "task", "points", "earned", "state", "reason", "evidence"),
            *("expected", "observed", "hint", "duration_s"),
        }
        assert set(criterion["evidence"]) >= {"given", "difference", "message", "frames", "output"}


def test_the_staged_copys_path_stays_here() -> None:
    """A result that is handed on names no folder of this machine."""
    assert "root" not in to_json(SAMPLES["mixed"])["submission"]


def test_the_text_is_ascii() -> None:
    """Characters that a terminal or a browser may act on are escaped."""
    title = "→ \u202e </script>"
    text = dumps(scorecard(CRASH, title=title))
    assert text.isascii()
    assert loads(text).title == title


def test_a_newer_format_asks_for_an_upgrade() -> None:
    """A result of a later archprep is not half understood."""
    with pytest.raises(UsageError) as caught:
        from_json({**to_json(SAMPLES["mixed"]), "format": FORMAT + 1})
    assert "format 2" in caught.value.message
    assert "pgrade archprep" in (caught.value.tip or "")


def _edited(*path: str | int, value: Any) -> str:
    data: Any = to_json(SAMPLES["mixed"])
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": true}',
        '{"format": 1}',
        "[" * 100_000,
        dumps(SAMPLES["mixed"])[:-20],
        _edited("format", value=0),
        _edited("score", value=100),
        _edited("max_score", value=None),
        _edited("seed", value="7"),
        _edited("duration_s", value=float("nan")),
        _edited("submission", value=None),
        _edited("criteria", 1, "earned", value=10),
        _edited("criteria", 1, "state", value="\x1b[2Jpassed"),
        _edited("criteria", 1, "id", value="routing-by-topic"),
        _edited("criteria", 3, "evidence", "frames", 0, "line", value=None),
        _edited("criteria", 1, value={}),
    ],
)
def test_a_damaged_document_is_a_sentence(text: str) -> None:
    """Whatever is wrong with a file, the user reads what to do, and nothing of it acts."""
    with pytest.raises(UsageError) as caught:
        loads(text)
    assert caught.value.exit_code is Exit.USAGE
    assert caught.value.message.isprintable()
    assert caught.value.tip


def test_every_field_is_documented() -> None:
    """docs/result-format.md lists each name that the document holds."""
    documented = set(re.findall(r"`(\w+)`", DOCUMENTATION.read_text()))
    data = to_json(SAMPLES["mixed"])
    criterion = data["criteria"][3]
    objects = [data, data["isolation"], data["isolation"]["limits"], data["submission"]]
    objects += [data["submission"]["files"][0], data["tasks"][0], criterion]
    objects += [criterion["evidence"], criterion["evidence"]["frames"][0]]
    assert {name for each in objects for name in each} <= documented


def test_importing_the_report_loads_nothing_heavy() -> None:
    """Commands that print no report do not pay for it."""
    heavy = ["rich", "jinja2", "msgspec", "pytest", "yaml", "importlib.resources", "asyncio"]
    code = f"import sys, archprep.report; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
