"""The attempts of the self-test: all are blocked here, and each notices if it is not."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ORDINARY_UID, as_ordinary, python_for_all

from archprep.core.model import Submission
from archprep.sandbox import isolation, processes, selftest
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.selftest_attempts import ATTEMPTS, BLOCKED, CANARY, PROBES, Target

pytestmark = [
    pytest.mark.usefixtures("content", "home"),
    pytest.mark.skipif(not processes.is_linux(), reason="only Linux has level A"),
]
needs_bwrap = pytest.mark.skipif(
    processes.is_linux() and not isolation.find_bwraps(), reason="level A needs bubblewrap"
)


@needs_bwrap
@pytest.mark.parametrize("bwrap", isolation.find_bwraps())
def test_every_attempt_is_blocked_here(monkeypatch, bwrap):
    """With each bubblewrap of this machine."""
    monkeypatch.setattr(isolation, "find_bwraps", lambda: [bwrap])
    tested = selftest.inspect("A", fresh=True)
    assert tested.results == dict.fromkeys(ATTEMPTS, BLOCKED)
    assert tested.profile.level == ("A-root" if os.geteuid() == 0 else "A")


@needs_bwrap
def test_a_long_temporary_folder_is_no_obstacle(monkeypatch, tmp_path):
    """A socket's path has at most 107 bytes, so sockets are created elsewhere."""
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
    """CI runs as root, at level A-root; people run at level A, which works differently."""
    python = python_for_all()
    if python is None:
        pytest.skip(f"no Python {sys.version_info[:2]} with libraries that uid 54321 may use")
    home = Path("/tmp") / f"archprep-test-{secrets.token_hex(4)}"
    home.mkdir()
    os.chown(home, ORDINARY_UID, ORDINARY_UID)
    try:
        done = as_ordinary(python, home, "-c", INSPECT, bwrap)
    finally:
        shutil.rmtree(home)
    if "Permission denied" in done.stderr or "cannot be started" in done.stderr:
        pytest.skip(f"{bwrap} cannot be run by all users")
    assert done.returncode == 0, done.stderr
    uid, level, results = json.loads(done.stdout)
    assert (uid, level) == (ORDINARY_UID, "A")
    assert results == dict.fromkeys(ATTEMPTS, BLOCKED)


@pytest.mark.parametrize(
    "name", ["read_judge_files", "read_environment", "network", "memory_limit"]
)
def test_a_possible_breach_is_found(name, submission, tmp_path, monkeypatch):
    """Level D allows these breaches: an attempt that does not notice proves nothing."""
    secret = secrets.token_hex(8)
    boot = BootConfig(PROBES.read_text(), ())
    source = [sys.executable, "-c", "import time; time.sleep(20)"]
    environment = os.environ | {CANARY: secret}
    with (
        Sandbox(isolation.plain(), boot, submission, b"") as open_sandbox,
        subprocess.Popen(source, env=environment) as bystander,
    ):
        target = Target(open_sandbox, tmp_path, secret)
        assert ATTEMPTS[name](target) is False
        bystander.kill()


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_that_did_not_run_is_not_blocked(name, submission, tmp_path, monkeypatch):
    """A probe that crashes proves nothing: only an attempt that ran and failed counts."""
    target = Target(Sandbox(isolation.plain(), BootConfig("", ()), submission, b""), tmp_path, "s")
    monkeypatch.setattr(Target, "run", lambda *_, **__: None)
    assert ATTEMPTS[name](target) is False
    target.sandbox.close()


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    root = tmp_path / "submission"
    root.mkdir(mode=0o755)
    return Submission(root, "", ())
