"""Which profile is chosen, and what a failed attempt leads to."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from archprep.core.errors import UsageError
from archprep.core.model import Limits
from archprep.sandbox import isolation, processes, seccomp, selftest, selftest_attempts
from archprep.sandbox.selftest import NOT_TESTED
from archprep.sandbox.selftest_attempts import ATTEMPTS

pytestmark = [
    pytest.mark.usefixtures("content", "home"),
    pytest.mark.skipif(not processes.is_linux(), reason="only Linux has level A"),
]
needs_bwrap = pytest.mark.skipif(
    processes.is_linux() and not isolation.find_bwraps(), reason="level A needs bubblewrap"
)


@pytest.fixture
def broken_bwrap(tmp_path: Path) -> str:
    """A bubblewrap that does not start."""
    tool = tmp_path / "bwrap"
    tool.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    tool.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    return str(tool)


def only(monkeypatch: pytest.MonkeyPatch, *bwraps: str) -> None:
    monkeypatch.setattr(isolation, "find_bwraps", lambda: list(bwraps))


def sentence(tested: selftest_attempts.TestedProfile) -> str:
    return selftest.describe(tested, Limits()).sentence


def test_without_bubblewrap_practice_falls_back_to_level_d(monkeypatch):
    only(monkeypatch)
    tested = selftest.inspect(None)
    assert tested.profile.level == "D"
    assert set(tested.results.values()) == {NOT_TESTED}
    assert "your own code only" in sentence(tested)
    assert "bubblewrap is not installed" in sentence(tested)


def test_a_bubblewrap_that_does_not_start_falls_back_and_says_why(monkeypatch, broken_bwrap):
    only(monkeypatch, broken_bwrap)
    tested = selftest.inspect(None)
    assert tested.profile.level == "D"
    assert "No permissions to create new namespace" in sentence(tested)


def test_level_a_on_demand_fails_with_the_cause(monkeypatch, broken_bwrap):
    only(monkeypatch, broken_bwrap)
    with pytest.raises(UsageError, match="No permissions to create new namespace") as caught:
        selftest.inspect("A")
    assert "doctor" in caught.value.tip


@needs_bwrap
def test_a_second_bubblewrap_is_tried(monkeypatch, broken_bwrap):
    """The wheel's may work where the system's is too old or not allowed to."""
    good = isolation.find_bwraps()[0]
    only(monkeypatch, broken_bwrap, good)
    assert selftest.inspect("A").profile.bwrap == good


@needs_bwrap
@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_without_libseccomp_the_level_is_not_a(monkeypatch, error):
    """The filter denies what namespaces allow."""

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
    """The level is what the self-test confirms, not what was configured."""
    monkeypatch.setitem(ATTEMPTS, "network", lambda _: False)
    assert selftest.inspect(None, fresh=True).profile.level == "D"
    with pytest.raises(UsageError, match="network"):
        selftest.inspect("A", fresh=True)


def test_level_d_on_demand_needs_no_reason():
    tested = selftest.inspect("D")
    assert tested.profile.level == "D"
    assert "does not hold" not in sentence(tested)
