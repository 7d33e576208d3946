"""Grading that is stopped in any way loses nothing."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from interview.batch.batch_samples import Hand, grade, parts, scores, start, wait_for
from report.samples import LEVEL_D

from archprep.core.errors import Exit, UsageError
from archprep.interview.model import Batch
from archprep.interview.results import results_lock
from archprep.sandbox import isolation, processes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(not isolation.find_bwraps(), reason="needs bubblewrap")
def test_a_killed_batch_can_be_resumed(hand: Hand, out: Path, tmp_path: Path) -> None:
    """Nothing is graded twice, nothing is lost, and no process or file is left behind."""
    for number in range(8):
        hand(f"c{number}")
    rng = random.Random(6)
    kept: dict[str, bytes] = {}
    for more in range(3):  # so many are there, and a moment has passed
        with start(out, *(["--resume"] if (out / "batch.json").exists() else [])) as grading:
            least = len(kept) + more
            # It may be done sooner than a loaded machine lets us look.
            wait_for(lambda n=least, g=grading: len(parts(out)) >= n or g.poll() is not None)
            time.sleep(rng.uniform(0, 0.3))
            below = processes.below(grading.pid)
            grading.kill()
            assert grading.wait() in {0, -signal.SIGKILL}, grading.stdout and grading.stdout.read()
        wait_for(lambda left=below: not processes.living(left))
        found = parts(out)
        assert kept.items() <= found.items()
        assert all(json.loads(data) for data in found.values())
        kept = found
    assert kept
    with start(out, "--resume") as grading:
        assert grading.stdout is not None
        said = grading.stdout.read()
    assert grading.returncode == 0, said
    assert kept.items() <= parts(out).items()
    assert len(parts(out)) == 8
    assert f"{8 - len(kept)} graded now" in said
    assert said.count(" 100") >= 8
    assert len(list(out.glob("candidates/*/scorecard.json"))) == 8
    assert not list((tmp_path / "tmp").glob("*archprep-batch-*"))


def test_a_second_grader_is_refused(hand: Hand, out: Path) -> None:
    """Nothing is touched."""
    hand("ada")
    with results_lock.open_for_grading(out, resume=False) as folder:
        folder.begin(Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_D))
        with start(out, "--resume", "--isolation", "D") as second:
            assert second.stdout is not None
            said = second.stdout.read()
    assert second.returncode == Exit.USAGE
    assert "Another archprep is grading into" in said
    assert not parts(out)


def test_a_full_disk_keeps_earlier_results(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are valid, and --resume continues."""
    for name in ("ada", "bob", "cyd"):
        hand(name)
    genuine = os.fsync

    def fsync(descriptor: int) -> None:
        if len(parts(out)) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UsageError, match="The disk is full"):
            grade(out)
    kept = parts(out)
    assert len(kept) == 2
    ended = grade(out, resume=True)
    assert (ended.graded, kept.items() <= parts(out).items()) == (1, True)
    assert scores(ended) == {"ada": 100, "bob": 100, "cyd": 100}
