"""`archprep progress` summarizes the attempts."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import RIGHT, Run

from archprep.practice import progress


def test_before_the_first_attempt(run: Run):
    """All exercises have no score, and the first one is suggested."""
    found = json.loads(run("progress", "--json").stdout)
    assert [row["best"] for row in found["rows"]] == [None, None]
    assert found["weakest"] is None
    assert found["next"] == "archprep start q1"


def test_scores_attempts_hints_and_what_is_weakest(run: Run, workspace: Path):
    """The best complete attempt counts; the weakest task has the smallest share of points."""
    half = "def add(a, b):\n    return b if a == 0 else 0\n"
    (workspace / "answer.py").write_text(half)
    run("check", cwd=workspace)
    run("check", "--task", "2", cwd=workspace)
    run("hint", cwd=workspace)
    found = json.loads(run("progress", "--json").stdout)
    row = found["rows"][0]
    assert (row["best"], row["attempts"], row["hints"]) == (40, 2, 1)
    assert (found["weakest"]["task"], found["weakest"]["earned"]) == (1, 0)
    assert found["next"] == "archprep check q1"
    shown = run("progress").stdout
    assert "Weakest: q1 task 1" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_after_a_solved_exercise_comes_a_new_one(run: Run, workspace: Path):
    """After 100 points the next exercise is suggested."""
    (workspace / "answer.py").write_text(RIGHT)
    run("check", cwd=workspace)
    assert json.loads(run("progress", "--json").stdout)["next"] == "archprep start q3"


def test_some_of_the_tasks_are_solved_with_all_their_points(run: Run, desk: Path):
    """Attempts at other tasks of the exercise do not count."""
    run("start", "q1", "--tasks", "1")
    (desk / "q01_adding" / "answer.py").write_text(RIGHT)
    run("check", cwd=desk / "q01_adding")
    found = json.loads(run("progress", "--json").stdout)
    assert (found["rows"][0]["best"], found["rows"][0]["max"]) == (60, 60)
    assert found["next"] == "archprep start q3"
    assert "60/60, 100 %" in run("progress").stdout
    assert "Score 60/60, 100 %" in run("report", "--best", cwd=desk / "q01_adding").stdout


def test_long_pauses_count_for_half_an_hour():
    """The working time is the sum of the times between attempts, each at most half an hour."""
    days = ("01T10:00", "01T10:10", "02T10:00")
    instants = [f"2026-01-{day}:00+00:00" for day in days]
    assert progress._seconds(instants) == 10 * 60 + progress.LONGEST_PAUSE_S
