"""A catalog, a home, and kits on the candidate's machine."""

from __future__ import annotations

import shutil
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from interview.kits.kit_samples import MADE_AT

from archprep.interview.kits import kit_folder
from archprep.interview.kits.make_kits import chosen_exercises, make_kits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def out(content: Path, home: Path, tmp_path: Path) -> Path:
    """The folder for kits, which does not exist yet; the catalog has q1 and q3."""
    assert content.is_dir()
    assert not home.exists()
    return tmp_path / "kits"


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def zipped(content: Path, home: Path, tmp_path: Path) -> Path:
    """Ada's kit of q1 and q3, as it was sent."""
    made = make_kits(chosen_exercises("q1,q3"), ["Ada L"], 120, tmp_path / "hers", made_at=MADE_AT)
    shutil.rmtree(home)  # the interviewer's
    return made[0].path


@pytest.fixture
def kit(zipped: Path) -> Path:
    """The unzipped kit."""
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(zipped.parent)
    return zipped.with_suffix("")


class Clock:
    """The candidate's clock, which a test sets."""

    now = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(kit_folder, "now", lambda: found.now)
    return found
