"""What the self-test remembers, and for how long."""

from __future__ import annotations

import pytest

from archprep.sandbox import isolation, processes, selftest, selftest_attempts, selftest_cache
from archprep.sandbox.selftest_attempts import ATTEMPTS, BLOCKED

pytestmark = [
    pytest.mark.usefixtures("content", "home"),
    pytest.mark.skipif(not processes.is_linux(), reason="only Linux has level A"),
]
needs_bwrap = pytest.mark.skipif(
    processes.is_linux() and not isolation.find_bwraps(), reason="level A needs bubblewrap"
)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The profiles that were tested, not remembered."""
    tested: list[str] = []

    def run_attempts(profile, program, folder):
        tested.append(profile.tool)
        return dict.fromkeys(ATTEMPTS, BLOCKED)

    monkeypatch.setattr(selftest_attempts, "_run_attempts", run_attempts)
    return tested


@needs_bwrap
def test_a_result_that_held_is_remembered_unless_a_fresh_one_is_wanted(count):
    """`check` recalls it, `grade` repeats the test."""
    first = selftest.inspect("A")
    assert selftest.inspect("A") == first
    assert len(count) == 1
    selftest.inspect("A", fresh=True)
    assert len(count) == 2


@needs_bwrap
def test_another_boot_kernel_or_tool_is_tested_again(count, monkeypatch):
    selftest.inspect("A")
    monkeypatch.setattr(selftest_cache, "_boot_id", lambda: "another boot")
    selftest.inspect("A")
    monkeypatch.setattr(isolation, "kernel", lambda: "0.0")
    selftest.inspect("A")
    assert len(count) == 3


@needs_bwrap
def test_a_result_that_did_not_hold_is_not_remembered(count, monkeypatch):
    def run_attempts(profile, *_):
        count.append(profile.tool)
        return {"network": "NOT blocked"}

    monkeypatch.setattr(selftest_attempts, "_run_attempts", run_attempts)
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
def test_without_a_writable_home_each_command_tests_again(count, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ARCHPREP_HOME", str(tmp_path / "file" / "home"))
    assert selftest.inspect("A").holds
    assert selftest.inspect("A").holds
    assert len(count) == 2
