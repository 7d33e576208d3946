"""What `grade` prints is inert and readable."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from report.samples import LEVEL_A, SAMPLES
from rich.console import Console

from archprep.cli import grade_output
from archprep.interview.batch.grade import GradedBatch
from archprep.interview.batch.progress import BatchProgress
from archprep.interview.batch.regrade import Change
from archprep.interview.model import Batch, Graded, Received, Result

if TYPE_CHECKING:
    import pytest


def test_hostile_text_is_inert_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No escape, no markup, no second line; a missing score has a reason."""
    card = next(iter(SAMPLES.values()))
    hostile = "\x1b[2J[bold]Eve[/]\rPASS\n100"
    received = Received(hostile, "eve", "e", "", "", flags=("\x1b]8;;x\x07late\nby 1 min",))
    result = Result(received, (Graded("q1", card), Graded("q2", problem=f"no {hostile}")))
    other = Result(Received("Bob", "bob", "b", "", "", problem="is not a zip archive"), ())
    ended = GradedBatch(Batch(1, "", "1", LEVEL_A), [result, other], 2, [hostile])
    text = io.StringIO()
    console = Console(file=text, width=120, highlight=False, markup=False, emoji=False)
    grade_output.show_batch(ended, Path("results"), console)
    grade_output.show_changes([Change("e", hostile, "q1", "1", hostile, ("a",))], console)
    grade_output.show_faults([hostile])
    grade_output.ProgressLine()(BatchProgress(2, 1, 1, 0, 3.0, hostile))
    said = text.getvalue() + "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\r" not in said
    assert "[bold]Eve[/] PASS 100" in said
    assert "is not a zip archive" in said
    assert "late by 1 min" in said


def test_progress_says_how_much_is_left() -> None:
    """In words for someone who waits."""
    said = grade_output.counts(BatchProgress(500, 20, 2, 1, 900.0, ""))
    assert said == "20/500 done, 2 running, 1 failed, 15 min left"
    assert grade_output.counts(BatchProgress(5, 0, 2, 0, None, "")) == "0/5 done, 2 running"
