"""The signing key is made once, and a damaged one is not replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from interview.kits.kit_samples import make

from archprep.core.errors import UsageError
from archprep.interview.kits import signing_key


def test_the_key_is_made_once_and_readable_by_its_owner_alone(out, home) -> None:
    """Later kits use the same key."""
    assert signing_key.load() is None
    make(out, "Ada")
    key = signing_key.load()
    make(out, "Bob")
    assert signing_key.load_or_create() == key
    assert key is not None
    assert len(key) == 32
    assert (home / "kit.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["kit.key"]


def test_the_first_key_stays_when_two_processes_create_one(home, monkeypatch) -> None:
    """The second process must not replace it."""
    first = signing_key.load_or_create()
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert signing_key.load_or_create() == first
    assert len(list(home.iterdir())) == 1


@pytest.mark.parametrize("damage", ["", "zz", "\xff", "ab" * 31])
def test_a_damaged_key_is_refused_and_not_replaced(home, damage) -> None:
    """The tip mentions a backup."""
    home.mkdir()
    (home / "kit.key").write_text(damage, encoding="latin-1")
    with pytest.raises(UsageError, match="damaged") as caught:
        signing_key.load_or_create()
    assert "backup" in (caught.value.tip or "")
    assert (home / "kit.key").read_text(encoding="latin-1") == damage
