"""Regrading shows what changes before it writes, and keeps what was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conftest import GRADER
from interview.batch.batch_samples import WRONG, Hand, grade, parts

from archprep.core.errors import Exit
from archprep.interview.batch import regrade as batch_regrade
from archprep.interview.results.results_folder import ResultsFolder

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.interview.batch.regrade import Change


def test_regrading_shows_changes_and_keeps_earlier_results(
    hand: Hand, out: Path, tmp_path: Path
) -> None:
    """With the same seed; a second run changes nothing, and a broken grader neither."""
    hand("ada")
    hand("bob", WRONG)
    hand("cyd", None)
    grade(out)
    before = parts(out)
    seen: list[Change] = []

    def agree(answer: bool) -> batch_regrade.Confirm:
        def confirm(changes: object) -> bool:
            seen[:] = changes  # type: ignore[call-overload]
            return answer

        return confirm

    def again(answer: bool = True) -> batch_regrade.RegradedBatch:
        return batch_regrade.regrade(out, "q1", confirm=agree(answer), jobs=2, level="D")

    assert again().changes == []
    test = tmp_path / "content/graders/q01_adding/test_answer.py"
    test.write_text(GRADER.replace("[a + b for", "[-b + a for"))
    assert not again(answer=False).written
    assert parts(out) == before
    assert again().written
    assert [(c.name, c.before, c.after, c.criteria) for c in seen] == [
        ("ada", "100", "40", ("adds",)),
        ("bob", "0", "60", ("adds", "adds-to-nothing")),  # the second was blocked
    ]
    folder = ResultsFolder(out)
    assert [folder.result(slug).score for slug in folder.slugs()] == [40, 60, 0]
    earlier = out / "candidates/ada/earlier/1"
    assert (earlier / "parts/q1.json").read_bytes() == before["ada/q1.json"]
    assert json.loads((earlier / "scorecard.json").read_text())["score"] == 100
    assert "60" in (out / "summary.csv").read_text()
    assert again().changes == []
    test.write_text(GRADER.replace("points=60", "points=5"))
    broken = again()
    assert (len(broken.faults), broken.exit_code, broken.changes) == (2, Exit.INTERNAL, [])
