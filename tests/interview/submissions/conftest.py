"""The inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inbox(content: Path, home: Path, tmp_path: Path) -> Path:
    """The folder of submissions; the catalog has q1 and q3."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path
