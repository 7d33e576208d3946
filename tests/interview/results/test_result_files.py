"""A file is written in full or not at all."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from interview.results.result_samples import GRADED, RECEIVED, tree

from archprep.core.errors import UsageError
from archprep.interview.results import result_files

if TYPE_CHECKING:
    from archprep.interview.results.results_folder import ResultsFolder


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(
    folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The error is a sentence with a tip, and nothing is half written."""
    folder.receive(RECEIVED)
    folder.save("ada", "d1", GRADED)
    before = tree(folder.root)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(UsageError, match="The disk is full: ") as caught:
        result_files.write(folder.graded_file("ada", "q1"), "new")
    assert "--resume" in str(caught.value.tip)
    assert tree(folder.root) == before
