"""A results folder has one writer, and foreign folders are left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from interview.results.result_samples import BATCH, tree

from archprep.core.errors import UsageError
from archprep.interview.model import (
    FORMAT,
)
from archprep.interview.results import results_lock

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.interview.results.results_folder import ResultsFolder


def refused(root: Path, *, resume: bool = True) -> str:
    """The message when the folder is refused; nothing is touched."""
    before = tree(root)
    with pytest.raises(UsageError) as caught, results_lock.open_for_grading(root, resume=resume):
        pytest.fail("it was opened")
    assert tree(root) == before
    assert caught.value.tip
    return caught.value.message


def test_a_new_or_empty_folder_is_accepted(root: Path) -> None:
    """Also one in which a killed grader had only just begun."""
    for _ in range(2):
        with results_lock.open_for_grading(root, resume=False) as folder:
            assert not folder.has_begun
            (root / ".batch.json.1.archprep-new").touch()
            folder.begin(BATCH)
            (root / "batch.json").unlink()
    with results_lock.open_for_grading(root, resume=False) as folder:
        assert not list(root.glob(".*"))


def test_a_new_folder_is_removed_if_grading_does_not_begin(root: Path) -> None:
    """An error before the first result leaves no folder behind."""
    with pytest.raises(ValueError, match="x"), results_lock.open_for_grading(root, resume=False):
        raise ValueError("x")
    assert not root.exists()


def test_a_foreign_folder_is_refused(root: Path) -> None:
    """Nothing is put there, not even a lock."""
    root.mkdir()
    (root / "thesis.txt").write_text("mine")
    assert "is not a results folder" in refused(root)
    assert "cannot be written: Not a directory" in refused_file(root / "thesis.txt")


def refused_file(path: Path) -> str:
    with pytest.raises(UsageError) as caught, results_lock.open_for_grading(path, resume=True):
        pytest.fail("it was opened")
    return caught.value.message


def test_a_newer_format_is_refused(root: Path, folder: ResultsFolder) -> None:
    """The folder was written by a newer archprep."""
    (root / "lock").unlink()
    newer = json.loads((root / "batch.json").read_text()) | {"format": FORMAT + 1, "more": 1}
    (root / "batch.json").write_text(json.dumps(newer))
    assert "was written by a newer archprep" in refused(root)
    with pytest.raises(UsageError, match="newer"), results_lock.open_existing(root):
        pytest.fail("it was opened")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": 1}', '{"format": true}', "\xff"])
def test_a_damaged_batch_is_refused(root: Path, folder: ResultsFolder, text: str) -> None:
    """The file stays as it is."""
    (root / "batch.json").write_bytes(text.encode("latin-1"))
    assert "is damaged" in refused(root)


def test_existing_results_need_resume(root: Path, folder: ResultsFolder) -> None:
    """Without it they are refused."""
    assert "already has results" in refused(root, resume=False)
    with results_lock.open_for_grading(root, resume=True) as again:
        assert again.batch() == BATCH


def test_a_second_process_is_refused(root: Path) -> None:
    """The kernel frees the lock when its holder ends, even if that is killed."""
    hold = (
        "import sys, time; from pathlib import Path\n"
        "from archprep.interview.results.results_lock import open_for_grading\n"
        "with open_for_grading(Path(sys.argv[1]), resume=False):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(root)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert "Another archprep is grading into" in refused(root)
        other.kill()
    with results_lock.open_for_grading(root, resume=False):
        pass


def test_an_empty_folder_has_no_results_to_open(tmp_path: Path) -> None:
    """It is refused."""
    with pytest.raises(UsageError, match="has no results"), results_lock.open_existing(tmp_path):
        pytest.fail("it was opened")
