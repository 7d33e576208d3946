"""A class of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import RIGHT

from archprep.content import catalog
from archprep.workspace.folder import start_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from interview.batch.batch_samples import Hand


@pytest.fixture
def hand(run: object, tmp_path: Path) -> Hand:
    """Add a submission with this answer; without one, the file is missing."""

    def submit(name: str, answer: str | None = RIGHT, exercise: str = "q1") -> Path:
        place = start_workspace(catalog.get(exercise), tmp_path / "class" / name).path
        if answer is None:
            (place / "answer.py").unlink()
        else:
            (place / "answer.py").write_text(answer)
        return place

    return submit


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The path of the results folder."""
    return tmp_path / "results"
