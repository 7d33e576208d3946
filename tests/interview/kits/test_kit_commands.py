"""The commands `kit`, `begin` and `submit`: what they print."""

from __future__ import annotations

from datetime import timedelta

import pytest
import typer
from conftest import write_tree
from interview.kits.kit_samples import members
from typer.testing import CliRunner

from archprep.cli import interview
from archprep.core.errors import UsageError


def archprep(*args: str) -> str:
    """The command's output; a UsageError passes, as it does through `cli.main`."""
    app = typer.Typer()
    interview.register(app)
    return CliRunner().invoke(app, args, catch_exceptions=False).stdout


def test_the_command_prints_the_path(out, tmp_path, monkeypatch) -> None:
    """Time is what the exercises say, if nothing else is."""
    monkeypatch.chdir(tmp_path)
    assert archprep("kit", "--questions", "q1,q3", "--candidate", "Ada") == "kits/ada.zip\n"
    assert b"180 minutes" in members(tmp_path / "kits" / "ada.zip")["README.md"]


def test_the_command_makes_many(out, tmp_path) -> None:
    write_tree(tmp_path, {"c.csv": "name\nAda\nBob\n"})
    args = ("--questions", "q1", "--from", str(tmp_path / "c.csv"), "--minutes", "60")
    assert archprep("kit", *args, "--out", str(out)).splitlines() == [
        f"{out}/ada.zip  Ada",
        f"{out}/bob.zip  Bob",
        "2 kits, 60 minutes each.",
    ]


@pytest.mark.parametrize("args", [(), ("--candidate", "Ada", "--from", "x.csv")])
def test_a_kit_is_for_one_or_for_many(out, args) -> None:
    with pytest.raises(UsageError, match="--candidate"):
        archprep("kit", "--questions", "q1", *args)


@pytest.mark.parametrize("command", ["kit", "begin", "submit"])
def test_every_command_has_an_example(command) -> None:
    assert f"Example: archprep {command}" in archprep(command, "--help")


def test_begin_and_submit_where_one_stands(kit, clock, monkeypatch) -> None:
    monkeypatch.chdir(kit / "q01_event_bus")
    first = archprep("begin")
    assert "Kit for Ada L: 120 minutes" in first
    assert "Begun now" in first
    assert "nothing was changed" in archprep("begin")
    clock.now += timedelta(minutes=132)
    told = archprep("submit")
    assert told.startswith(f"{kit.parent}/ada-l-submission.zip\n")
    assert "answer.py" in told
    assert "Time used: 132 of 120 min" in told
    assert "Late by 12 min: recorded, never refused" in told
    assert "q3: answer.py is unchanged" in told


def test_submit_says_that_nobody_began_and_what_is_broken(kit) -> None:
    (kit / "q01_event_bus" / "answer.py").write_text("def")
    told = archprep("submit", str(kit), "--anyway")
    assert "because `archprep begin` was not run" in told
    assert "Not valid Python: q01_event_bus/answer.py:1" in told
