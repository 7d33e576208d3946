"""The self-test: that it holds here, that it finds what is open, and what follows from it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ORDINARY_UID, as_ordinary, python_for_all

from archprep.core.errors import UsageError
from archprep.core.model import Limits, Submission
from archprep.sandbox import isolation, processes, seccomp, selftest
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.selftest import BLOCKED, NOT_TESTED

pytestmark = [
    pytest.mark.usefixtures("content", "home"),
    pytest.mark.skipif(not processes.is_linux(), reason="only Linux has level A"),
]
needs_bwrap = pytest.mark.skipif(
    processes.is_linux() and not isolation.find_bwraps(), reason="level A needs bubblewrap"
)


# -- it holds ---------------------------------------------------------------------------------


@needs_bwrap
@pytest.mark.parametrize("bwrap", isolation.find_bwraps())
def test_every_attempt_is_blocked_here(monkeypatch, bwrap):
    """With each bubblewrap of this machine: all breaches are attempted, none succeeds."""
    monkeypatch.setattr(isolation, "find_bwraps", lambda: [bwrap])
    tested = selftest.inspect("A", fresh=True)
    assert tested.results == dict.fromkeys(selftest._ATTEMPTS, BLOCKED)
    assert tested.profile.level == ("A-root" if os.geteuid() == 0 else "A")


@needs_bwrap
def test_a_long_name_of_the_temporary_folder_is_no_obstacle(monkeypatch, tmp_path):
    """A socket's name has at most 107 bytes: it must not stand there."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert set(selftest.inspect("A", fresh=True).results.values()) == {BLOCKED}


INSPECT = """
import json, os, sys
from archprep.sandbox import isolation, selftest
isolation.find_bwraps = lambda: [sys.argv[1]]
tested = selftest.inspect("A", fresh=True)
print(json.dumps([os.getuid(), tested.profile.level, tested.results]))
"""


@needs_bwrap
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.parametrize("bwrap", isolation.find_bwraps())
def test_level_a_holds_for_an_ordinary_user(bwrap, tmp_path_factory):
    """CI runs as root, at level A-root; people run at level A, which is another recipe."""
    python = python_for_all()
    if python is None:
        pytest.skip(f"no Python {sys.version_info[:2]} with our libraries that uid 54321 may use")
    home = Path("/tmp") / f"archprep-test-{secrets.token_hex(4)}"
    home.mkdir()
    os.chown(home, ORDINARY_UID, ORDINARY_UID)
    try:
        done = as_ordinary(python, home, "-c", INSPECT, bwrap)
    finally:
        shutil.rmtree(home)
    if "Permission denied" in done.stderr or "cannot be started" in done.stderr:
        pytest.skip(f"{bwrap} is not for all users")
    assert done.returncode == 0, done.stderr
    uid, level, results = json.loads(done.stdout)
    assert (uid, level) == (ORDINARY_UID, "A")
    assert results == dict.fromkeys(selftest._ATTEMPTS, BLOCKED)


# -- it finds what is open --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["read_judge_files", "read_environment", "network", "memory_limit"]
)
def test_an_open_door_is_found(name, submission, tmp_path, monkeypatch):
    """At level D these doors are open: an attempt that cannot find that proves nothing."""
    secret = secrets.token_hex(8)
    boot = BootConfig(selftest._PROBES.read_text(), ())
    source = [sys.executable, "-c", "import time; time.sleep(20)"]
    environment = os.environ | {selftest.CANARY: secret}
    with (
        Sandbox(isolation.plain(), boot, submission, b"") as open_box,
        subprocess.Popen(source, env=environment) as bystander,
    ):
        bench = selftest._Bench(open_box, tmp_path, secret)
        assert selftest._ATTEMPTS[name](bench) is False
        bystander.kill()


@pytest.mark.parametrize("name", selftest._ATTEMPTS)
def test_an_attempt_that_never_ran_has_blocked_nothing(name, submission, tmp_path, monkeypatch):
    """A probe that crashes shows nothing: only what was tried and failed counts."""
    bench = selftest._Bench(
        Sandbox(isolation.plain(), BootConfig("", ()), submission, b""), tmp_path, "s"
    )
    monkeypatch.setattr(selftest._Bench, "play", lambda *_, **__: None)
    assert selftest._ATTEMPTS[name](bench) is False
    bench.sandbox.close()


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    root = tmp_path / "submission"
    root.mkdir(mode=0o755)
    return Submission(root, "", ())


# -- what follows -----------------------------------------------------------------------------


@pytest.fixture
def broken_bwrap(tmp_path: Path) -> str:
    """A bubblewrap that is there and does not start."""
    tool = tmp_path / "bwrap"
    tool.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    tool.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    return str(tool)


def only(monkeypatch: pytest.MonkeyPatch, *bwraps: str) -> None:
    monkeypatch.setattr(isolation, "find_bwraps", lambda: list(bwraps))


def sentence(tested: selftest.Tested) -> str:
    return selftest.describe(tested, Limits()).sentence


def test_without_bubblewrap_practice_falls_back_and_says_so(monkeypatch):
    only(monkeypatch)
    tested = selftest.inspect(None)
    assert tested.profile.level == "D"
    assert set(tested.results.values()) == {NOT_TESTED}
    assert "your own code only" in sentence(tested)
    assert "bubblewrap is not on this machine" in sentence(tested)


def test_a_bubblewrap_that_does_not_start_falls_back_and_says_why(monkeypatch, broken_bwrap):
    only(monkeypatch, broken_bwrap)
    tested = selftest.inspect(None)
    assert tested.profile.level == "D"
    assert "No permissions to create new namespace" in sentence(tested)


def test_insisting_on_level_a_fails_closed_with_the_cause(monkeypatch, broken_bwrap):
    only(monkeypatch, broken_bwrap)
    with pytest.raises(UsageError, match="No permissions to create new namespace") as caught:
        selftest.inspect("A")
    assert "doctor" in caught.value.tip


@needs_bwrap
def test_a_second_bubblewrap_is_tried(monkeypatch, broken_bwrap):
    """The wheel's may work where the system's is too old or forbidden."""
    good = isolation.find_bwraps()[0]
    only(monkeypatch, broken_bwrap, good)
    assert selftest.inspect("A").profile.bwrap == good


@needs_bwrap
@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_without_libseccomp_the_level_is_not_a(monkeypatch, error):
    """The filter closes what namespaces leave open: without it nothing is claimed."""

    def missing() -> bytes:
        raise error("libseccomp.so.2 not found")

    monkeypatch.setattr(seccomp, "program", missing)
    tested = selftest.inspect(None, fresh=True)
    assert tested.profile.level == "D"
    assert "libseccomp" in sentence(tested)
    with pytest.raises(UsageError, match="libseccomp"):
        selftest.inspect("A", fresh=True)


@needs_bwrap
def test_one_attempt_that_succeeds_is_enough(monkeypatch):
    """The level is what was found, not what was configured."""
    monkeypatch.setitem(selftest._ATTEMPTS, "network", lambda _: False)
    assert selftest.inspect(None, fresh=True).profile.level == "D"
    with pytest.raises(UsageError, match="network"):
        selftest.inspect("A", fresh=True)


def test_level_d_on_demand_needs_no_excuse():
    tested = selftest.inspect("D")
    assert tested.profile.level == "D"
    assert "does not hold" not in sentence(tested)


# -- remembering ------------------------------------------------------------------------------


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The profiles that were really tested."""
    tested: list[str] = []

    def attempt_all(profile, program, folder):
        tested.append(profile.tool)
        return dict.fromkeys(selftest._ATTEMPTS, BLOCKED)

    monkeypatch.setattr(selftest, "_attempt_all", attempt_all)
    return tested


@needs_bwrap
def test_a_test_that_held_is_remembered_until_asked_afresh(count):
    """`check` recalls it, `grade` repeats it."""
    first = selftest.inspect("A")
    assert selftest.inspect("A") == first
    assert len(count) == 1
    selftest.inspect("A", fresh=True)
    assert len(count) == 2


@needs_bwrap
def test_another_boot_kernel_or_tool_is_tested_again(count, monkeypatch):
    selftest.inspect("A")
    monkeypatch.setattr(selftest, "_boot_id", lambda: "another boot")
    selftest.inspect("A")
    monkeypatch.setattr(isolation, "kernel", lambda: "0.0")
    selftest.inspect("A")
    assert len(count) == 3


@needs_bwrap
def test_what_did_not_hold_is_not_remembered(count, monkeypatch):
    monkeypatch.setattr(
        selftest, "_attempt_all", lambda p, *_: count.append(p.tool) or {"network": "NOT blocked"}
    )
    selftest.inspect(None)
    selftest.inspect(None)
    assert len(count) == 2 * len(isolation.find_bwraps())


@needs_bwrap
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1}'])
def test_a_damaged_record_is_ignored(count, home, damage):
    selftest.inspect("A")
    (record,) = (home / "cache").glob("isolation-*.json")
    record.write_text(damage)
    selftest.inspect("A")
    assert len(count) == 2


@needs_bwrap
def test_a_home_that_cannot_be_written_costs_a_test_each_time(count, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ARCHPREP_HOME", str(tmp_path / "file" / "home"))
    assert selftest.inspect("A").holds
    assert selftest.inspect("A").holds
    assert len(count) == 2
