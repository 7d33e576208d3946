"""An exercise with two prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import write_tree
from interview.reports.page_samples import DISCUSSION, RUBRIC

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def exercise(content: Path) -> None:
    """q1 with two prompts, and a rubric for them."""
    (folder,) = (content / "exercises").glob("q01_*")
    write_tree(content / "exercises" / folder.name, {"discussion.md": DISCUSSION})
    write_tree(content / "solutions" / folder.name, {"rubric.yaml": RUBRIC})
