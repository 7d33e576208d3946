"""Each problem of a machine, with the one command that mends it."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from archprep import doctor, isolation
from archprep.doctor import Finding


def shown(findings: list[Finding]) -> tuple[bool, str]:
    out = io.StringIO()
    good = doctor.show(findings, Console(file=out, width=80))
    return good, out.getvalue()


def test_a_problem_is_shown_with_its_fix():
    """One problem makes the whole not sound; the command stands below it."""
    good, text = shown([Finding("Python", "3.13"), Finding("home", "full", good=False, fix="rm x")])
    assert not good
    assert "ok      Python: 3.13" in text
    assert "fix: rm x" in text


def test_a_machine_without_bubblewrap_is_told_how_to_get_it(content: Path, home: Path, monkeypatch):
    """The command is that of this machine's package manager."""
    assert content.is_dir()
    assert not home.exists()
    monkeypatch.setattr(isolation, "find_bwraps", list)
    (found,) = [f for f in doctor.examine() if f.what == "isolation"]
    assert not found.good
    assert "bubblewrap" in (found.fix or "")


def test_a_home_that_cannot_be_written_is_told(content: Path, tmp_path: Path, monkeypatch):
    """A file where the folder should be."""
    assert content.is_dir()
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("ARCHPREP_HOME", str(blocked / "home"))
    found = [f for f in doctor.examine() if f.what in {"home", "state"} and not f.good]
    assert found
    assert all(f.fix for f in found)
