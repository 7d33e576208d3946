"""A results folder is valid at every moment, and nothing in it is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interview.results.result_samples import BATCH, GRADED, RECEIVED, names, tree

from archprep.interview.model import (
    Graded,
    SubmittedExercise,
)
from archprep.interview.reports import write_reports
from archprep.interview.results import json_format, results_lock

if TYPE_CHECKING:
    from archprep.interview.results.results_folder import ResultsFolder


def test_what_is_saved_is_read_back(folder: ResultsFolder) -> None:
    """The source gives back the same bytes, whatever they are."""
    assert folder.receive(RECEIVED)
    assert not folder.receive(RECEIVED)
    folder.save("ada", "d1", GRADED)
    bare = replace(RECEIVED, exercises=(SubmittedExercise("q1", Path()),))
    assert folder.received("ada") == bare
    assert folder.graded("ada", "q1") == GRADED
    assert folder.finished(RECEIVED, "q1") == GRADED
    assert folder.result("ada").graded == (GRADED,)
    assert folder.result("ada", sources=False).graded[0].source == {}
    assert json_format.source_in(folder.graded_file("ada", "q1")) == {
        "answer.py": b"x = 'caf\xe9'\r\n"
    }


def test_only_a_final_outcome_of_this_submission_is_finished(folder: ResultsFolder) -> None:
    """Another submission, a fault of archprep and a damaged file are graded again."""
    folder.receive(RECEIVED)
    assert folder.finished(RECEIVED, "q1") is None
    folder.save("ada", "d1", Graded("q1", problem="answer.py is missing."))
    assert folder.finished(RECEIVED, "q1")
    assert folder.finished(replace(RECEIVED, digest="d2"), "q1") is None
    folder.save("ada", "d1", Graded("q1", problem="not graded: a grader failed."))
    assert folder.finished(RECEIVED, "q1") is None
    folder.graded_file("ada", "q1").write_text('{"format": 1, "digest": "d1", "graded": {}}')
    assert folder.finished(RECEIVED, "q1") is None
    assert "damaged" in str(folder.graded("ada", "q1").problem)


def test_a_postponed_exercise_is_remembered(folder: ResultsFolder) -> None:
    """Until its final outcome is saved."""
    folder.receive(RECEIVED)
    folder.postpone("ada", "d1", "q1")
    assert folder.is_postponed(RECEIVED, "q1")
    assert not folder.is_postponed(replace(RECEIVED, digest="d2"), "q1")
    folder.save("ada", "d1", GRADED)
    assert not folder.is_postponed(RECEIVED, "q1")


def test_a_later_submission_moves_results_to_earlier(folder: ResultsFolder) -> None:
    """Nothing is lost: earlier results stay together."""
    folder.receive(RECEIVED)
    folder.save("ada", "d1", GRADED)
    write_reports.write_candidate(folder, "ada", BATCH)
    before = tree(folder.candidate("ada"))
    for number in (1, 2):
        digest = f"other{number}"
        folder.receive(replace(RECEIVED, digest=digest))
        assert not folder.graded_file("ada", "q1").exists()
        assert not (folder.candidate("ada") / "scorecard.json").exists()
        folder.save("ada", digest, GRADED)
    assert tree(folder.candidate("ada") / "earlier" / "1") == before
    assert folder.finished(replace(RECEIVED, digest="other2"), "q1")
    assert sorted(names(folder.candidate("ada") / "earlier")) == ["1", "2"]


@pytest.mark.parametrize("slug", ["", "..", "a/b", "-", "a b"])
def test_a_slug_cannot_lead_out_of_the_folder(folder: ResultsFolder, slug: str) -> None:
    """It names one folder in `candidates`."""
    with pytest.raises(ValueError, match="is not a candidate's slug"):
        folder.candidate(slug)


def test_unfinished_files_are_removed(folder: ResultsFolder) -> None:
    """What a killed process left behind."""
    folder.receive(RECEIVED)
    place = folder.candidate("ada")
    (place / "earlier" / ".12.archprep-new" / "parts").mkdir(parents=True)
    (place / ".report.html.12.archprep-new").touch()
    with results_lock.open_existing(folder.root):
        assert set(names(place)) == {"candidate.json", "earlier"}
        assert not names(place / "earlier")
