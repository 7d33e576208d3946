"""Where zips lie and are extracted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """The folder to extract to, which does not exist yet."""
    return tmp_path / "deep" / "into"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "alice.zip"
