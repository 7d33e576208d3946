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
    """Where the results go; the folder does not exist yet."""
    return tmp_path / "results"


@pytest.fixture
def folder(root: Path) -> ResultsFolder:
    """A folder in which a batch has begun."""
    with results_lock.open_for_grading(root, resume=False) as made:
        made.begin(BATCH)
    return made
