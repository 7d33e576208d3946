"""Reports are written once, and again when an outcome changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from interview.results.result_samples import BATCH, CARD, GRADED, RECEIVED, names, tree

from archprep.interview.model import (
    Graded,
    Received,
)
from archprep.interview.reports import write_reports

if TYPE_CHECKING:
    from archprep.interview.results.results_folder import ResultsFolder


def test_reports_are_written_again_only_after_a_change(folder: ResultsFolder) -> None:
    """A candidate with a problem is in them, too."""
    folder.receive(RECEIVED)
    folder.receive(Received("Bob", "bob", "bob.zip", "", "d", problem="is not a zip archive"))
    folder.save("ada", "d1", GRADED)
    for slug in folder.slugs():
        write_reports.write_candidate(folder, slug, BATCH)
    made = tree(folder.candidate("ada"))
    assert {"report.html", "results.json", "junit.xml", "scorecard.json"} < made.keys()
    assert json.loads(made["scorecard.json"])["score"] == CARD.score
    write_reports.write_candidate(folder, "ada", replace(BATCH, seed=8))
    assert tree(folder.candidate("ada")) == made
    folder.save("ada", "d1", Graded("q1", problem="answer.py is missing."))
    write_reports.write_candidate(folder, "ada", BATCH)
    assert json.loads((folder.candidate("ada") / "scorecard.json").read_text())["score"] == 0
    assert [r.received.slug for r in write_reports.write_batch(folder, BATCH)] == ["ada", "bob"]
    assert {"index.html", "summary.csv", "statistics.json"} < set(names(folder.root))
