"""A worker's own failures are not the candidate's fault."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from archprep.interview.batch import batch_worker
from archprep.interview.batch.batch_job import BatchJob

if TYPE_CHECKING:
    import pytest
    from interview.batch.batch_samples import Hand


def test_a_full_temporary_disk_is_not_the_candidates_fault(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops the batch: no other job can succeed either."""
    job = BatchJob("ada", "Ada", "d", "q1", 1, "D", hand("ada"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with ExitStack() as opened:
        worker = batch_worker.BatchWorker("D", opened)
        assert worker._exercise(job)  # read before the disk is full
        for name in ("open", "mkdir"):
            with monkeypatch.context() as patch:
                patch.setattr(Path, name, full)
                stop = worker.run(job).stop
            assert stop is not None
            assert "is full" in stop[0]
