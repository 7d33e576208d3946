"""A results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interview.results.result_samples import BATCH

from archprep.interview.results import results_lock

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.interview.results.results_folder import ResultsFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The path of a results folder that does not exist yet."""
    return tmp_path / "results"


@pytest.fixture
def folder(root: Path) -> ResultsFolder:
    """A results folder with a batch."""
    with results_lock.open_for_grading(root, resume=False) as made:
        made.begin(BATCH)
    return made
