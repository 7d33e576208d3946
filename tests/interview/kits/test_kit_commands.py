"""The commands `kit`, `begin` and `submit`: what they print."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import typer
from conftest import write_tree
from interview.kits.kit_samples import members
from typer.testing import CliRunner

from archprep.cli import interview
from archprep.core.errors import UsageError


def archprep(*args: str) -> str:
    """The outputs of a command; a UsageError passes, as it does through `cli.main`."""
    app = typer.Typer()
    interview.register(app)
    return CliRunner().invoke(app, args, catch_exceptions=False).output


def test_kit_prints_the_path_of_the_zip(out, tmp_path, monkeypatch) -> None:
    """Without --minutes, the time is the sum of the exercises' times."""
    monkeypatch.chdir(tmp_path)
    assert archprep("kit", "--questions", "q1,q3", "--candidate", "Ada") == "kits/ada.zip\n"
    assert b"180 minutes" in members(tmp_path / "kits" / "ada.zip")["README.md"]


def test_kit_makes_one_zip_per_name_in_a_file(out, tmp_path) -> None:
    """It prints each path with its candidate, then a count."""
    write_tree(tmp_path, {"c.csv": "name\nAda\nBob\n"})
    args = ("--questions", "q1", "--from", str(tmp_path / "c.csv"), "--minutes", "60")
    assert archprep("kit", *args, "--out", str(out)).splitlines() == [
        f"{out}/ada.zip  Ada",
        f"{out}/bob.zip  Bob",
        "2 kits, 60 minutes each.",
    ]


@pytest.mark.parametrize("args", [(), ("--candidate", "Ada", "--from", "x.csv")])
def test_kit_needs_either_a_candidate_or_a_file(out, args) -> None:
    """Neither and both are refused."""
    with pytest.raises(UsageError, match="--candidate"):
        archprep("kit", "--questions", "q1", *args)


@pytest.mark.parametrize("command", ["kit", "begin", "submit"])
def test_every_command_has_an_example(command) -> None:
    """The help of each command ends with one."""
    assert f"Example: archprep {command}" in archprep(command, "--help")


def test_begin_and_submit_work_in_the_current_folder(kit, clock, monkeypatch) -> None:
    """They show the deadline with its zone, the files, the time used and any notes.

    A started minute counts, as it does for `archprep grade`.
    """
    monkeypatch.chdir(kit / "q01_event_bus")
    first = archprep("begin")
    assert "Kit for Ada L: 120 minutes" in first
    assert re.search(r"Begun now, at \d{4}-\d\d-\d\d \d\d:\d\d [A-Z+0-9-]+\.", first)
    assert "nothing was changed" in archprep("begin")
    clock.now += timedelta(minutes=131, seconds=2)
    output = archprep("submit")
    assert output.startswith(f"{kit.parent}/ada-l-submission.zip\n")
    assert "answer.py" in output
    assert "Time used: 132 of 120 min" in output
    assert "Late by 12 min: recorded, never refused" in output
    assert "q3: answer.py is unchanged" in output


def test_submit_reports_a_missing_begin_and_broken_files(kit) -> None:
    """With --anyway, broken files are listed but included."""
    (kit / "q01_event_bus" / "answer.py").write_text("def")
    output = archprep("submit", str(kit), "--anyway")
    assert "because `archprep begin` was not run" in output
    assert "Not valid Python: q01_event_bus/answer.py:1" in output
