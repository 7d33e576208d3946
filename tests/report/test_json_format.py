"""The JSON format: tests/golden pins it, docs/result-format.md documents it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report.samples import CRASH, SAMPLES, scorecard

from archprep.core.errors import Exit, UsageError
from archprep.core.model import FORMAT
from archprep.report import dumps, from_json, loads, to_json

GOLDEN = Path(__file__).parents[1] / "golden"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "result-format.md"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_document_is_the_golden_file(name: str) -> None:
    """The format changes deliberately only: ARCHPREP_WRITE_GOLDEN=1 rewrites the files."""
    path = GOLDEN / f"{name}.json"
    if os.environ.get("ARCHPREP_WRITE_GOLDEN"):
        path.write_text(dumps(SAMPLES[name]))
    assert dumps(SAMPLES[name]) == path.read_text()


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_returns_the_scorecard(name: str) -> None:
    """Nothing of a scorecard is lost in JSON."""
    assert loads((GOLDEN / f"{name}.json").read_text()) == SAMPLES[name]
    assert from_json(to_json(SAMPLES[name])) == SAMPLES[name]


@pytest.mark.parametrize("name", ["mixed", "unimportable"])
def test_format_1_is_still_read(name: str) -> None:
    """Batches graded earlier stay readable; they have no rules."""
    card = loads((GOLDEN / "format_1" / f"{name}.json").read_text())
    now = SAMPLES[name]
    assert [c.id for c in card.criteria] == [c.id for c in now.criteria]
    assert card.format == 1
    assert all(not c.rules and c.broken is None for c in card.criteria)


def test_no_name_is_ever_removed() -> None:
    """Programs rely on these names; names may be added, but not removed."""
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


def test_the_path_of_the_staged_copy_is_left_out() -> None:
    """A shared result does not reveal folders of this machine."""
    assert "root" not in to_json(SAMPLES["mixed"])["submission"]


def test_the_text_is_ascii() -> None:
    """Characters that a terminal or a browser may act on are escaped."""
    title = "→ \u202e </script>"
    text = dumps(scorecard(CRASH, title=title))
    assert text.isascii()
    assert loads(text).title == title


def test_a_newer_format_asks_for_an_upgrade() -> None:
    """The result of a newer archprep is refused, not misread."""
    with pytest.raises(UsageError) as caught:
        from_json({**to_json(SAMPLES["mixed"]), "format": FORMAT + 1})
    assert "format 3" in caught.value.message
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
def test_a_damaged_document_is_a_usage_error(text: str) -> None:
    """The user reads what to do, and no text of the file reaches the terminal unsanitized."""
    with pytest.raises(UsageError) as caught:
        loads(text)
    assert caught.value.exit_code is Exit.USAGE
    assert caught.value.message.isprintable()
    assert caught.value.tip


def test_every_field_is_documented() -> None:
    """docs/result-format.md lists every name in the document."""
    documented = set(re.findall(r"`(\w+)`", DOCUMENTATION.read_text()))
    data = to_json(SAMPLES["mixed"])
    criterion = data["criteria"][3]
    objects = [data, data["isolation"], data["isolation"]["limits"], data["submission"]]
    objects += [data["submission"]["files"][0], data["tasks"][0], criterion]
    objects += [criterion["evidence"], criterion["evidence"]["frames"][0]]
    assert {name for each in objects for name in each} <= documented


def test_importing_the_report_loads_nothing_heavy() -> None:
    """Commands that print no report start as fast without these packages."""
    heavy = ["rich", "jinja2", "msgspec", "pytest", "yaml", "importlib.resources", "asyncio"]
    code = f"import sys, archprep.report; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
