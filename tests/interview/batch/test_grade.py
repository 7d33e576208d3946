"""A class is graded whatever its submissions do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from interview.batch.batch_samples import WRONG, Hand, grade, parts, scores
from report.samples import LEVEL_A, LEVEL_D

from archprep.core.errors import Exit, UsageError
from archprep.interview.batch import grade as batch_grade
from archprep.interview.batch import regrade as batch_regrade
from archprep.interview.model import Batch, Result
from archprep.interview.results import results_lock
from archprep.sandbox import deadline, isolation, selftest

if TYPE_CHECKING:
    from pathlib import Path

    from archprep.interview.batch.progress import BatchProgress


def test_a_broken_submission_is_one_problem(hand: Hand, out: Path, tmp_path: Path) -> None:
    """The others get their scores; grading again gives the very same results."""
    hand("ada")
    hand("bob", WRONG)
    hand("cyd", "def add(:\n")
    hand("dan", None)
    (tmp_path / "class" / "eve.zip").write_text("no zip")
    seen: list[BatchProgress] = []
    ended = grade(out, progress=seen.append)
    assert ended.exit_code == Exit.PASSED
    assert scores(ended) == {"ada": 100, "bob": 0, "cyd": 0, "dan": None, "eve": None}
    found = {r.received.slug: r for r in ended.results}
    assert found["dan"].graded[0].problem == "answer.py is missing from the submission."
    assert found["eve"].received.problem
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (4, 4, 1)
    assert json.loads((out / "candidates/ada/scorecard.json").read_text())["score"] == 100
    assert {"index.html", "summary.csv", "statistics.json"} <= {p.name for p in out.iterdir()}
    again = grade(tmp_path / "again")
    assert list(map(timeless, again.results)) == list(map(timeless, ended.results))
    kept = parts(out)
    assert grade(out, resume=True, seed=None).graded == 0
    assert parts(out) == kept


def timeless(result: Result) -> list[object]:
    return [batch_regrade.comparable(graded) for graded in result.graded]


def test_nothing_to_grade_leaves_no_folder(out: Path, tmp_path: Path) -> None:
    """Neither do wrong folders or options."""
    (tmp_path / "class").mkdir()
    with pytest.raises(UsageError, match="contains no submissions"):
        grade(out)
    with pytest.raises(UsageError, match="does not exist"):
        batch_grade.grade(tmp_path / "none", out)
    with pytest.raises(UsageError, match="among the submissions"):
        batch_grade.grade(tmp_path, out)
    with pytest.raises(UsageError, match="--jobs must be at least 1"):
        grade(out, jobs=0)
    assert not out.exists()


def test_missing_packages_are_reported_before_grading(
    hand: Hand, out: Path, tmp_path: Path
) -> None:
    """With the command that installs them."""
    hand("ada")
    manifest = tmp_path / "content/exercises/q01_adding/exercise.yaml"
    manifest.write_text(manifest.read_text() + "packages: [nosuch]\npreload: [nosuch]\n")
    with pytest.raises(UsageError, match="needs packages that are not installed") as error:
        grade(out)
    assert error.value.tip == "Install them: pip install nosuch"
    assert not out.exists()


def test_a_broken_grader_is_not_the_candidates_fault(hand: Hand, out: Path, tmp_path: Path) -> None:
    """Others are graded, the exit code says so, and --resume grades it once it is fixed."""
    hand("ada")
    hand("bob", exercise="q3")
    test = tmp_path / "content/graders/q03_more/test_answer.py"
    mended = test.read_text()
    # Of another size: Python takes a file of the same size and second for the one it has compiled.
    test.write_text(mended.replace("points=60", "points=5"))
    ended = grade(out)
    assert ended.exit_code == Exit.INTERNAL
    assert scores(ended) == {"ada": 100, "bob": None}
    [fault] = ended.faults
    assert fault.startswith("bob, q3: not graded: ")
    test.write_text(mended)
    kept = parts(out)["ada/q1.json"]
    ended = grade(out, resume=True)
    assert (scores(ended), ended.graded) == ({"ada": 100, "bob": 100}, 1)
    assert (ended.exit_code, parts(out)["ada/q1.json"]) == (Exit.PASSED, kept)


def slow_once(flag: Path, inner: str) -> str:
    """Code that hangs in the first process that runs it, and in no other."""
    asks = f"{inner}if not os.path.exists({str(flag)!r}):\n{inner}    open({str(flag)!r}, 'w')\n"
    return f"{asks}{inner}    time.sleep(9)\n"


@pytest.fixture
def three_slow(hand: Hand, tmp_path: Path) -> None:
    """Submissions that hang once in a call, always, and once at import; one second is allowed."""
    manifest = tmp_path / "content/exercises/q01_adding/exercise.yaml"
    manifest.write_text(manifest.read_text() + "limits: {seconds: 1.0}\n")
    called = "def add(a, b):\n" + slow_once(tmp_path / "called", "    ") + "    return a + b\n"
    hand("ada", f"import os, time\n\n\n{called}")
    hand("bob", "def add(a, b):\n    while True:\n        pass\n")
    imported = slow_once(tmp_path / "imported", "") + "\n\ndef add(a, b):\n    return a + b\n"
    hand("cyd", f"import os, time\n{imported}")


def test_a_time_out_counts_at_once(three_slow: None, out: Path) -> None:
    """A time limit counts what a submission could have run, so no second run is needed."""
    if not deadline.is_measured():
        pytest.skip("needs the kernel's run times")
    assert scores(grade(out)) == {"ada": 40, "bob": 0, "cyd": 0}


def test_where_run_times_are_unknown_a_time_out_is_confirmed_alone(
    three_slow: None, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out next to others may be their fault; one that happens alone is not."""
    monkeypatch.setattr(deadline, "is_measured", lambda: False)
    ended = grade(out)
    assert (tmp_path / "called").exists()
    assert (tmp_path / "imported").exists()
    assert scores(ended) == {"ada": 100, "bob": 0, "cyd": 100}
    assert not list(out.rglob("*.postponed"))


def test_nothing_is_graded_below_level_a(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --isolation D, a machine without level A grades nothing."""
    hand("ada")
    monkeypatch.setattr(isolation, "find_bwraps", list)
    for level in (None, "A"):
        with pytest.raises(UsageError, match="Isolation level A needs bubblewrap"):
            grade(out, level=level)
    with pytest.raises(UsageError, match="no isolation level 'B'"):
        grade(out, level="B")
    assert not out.exists()
    assert grade(out).batch.isolation.level == "D"
    with pytest.raises(UsageError, match="needs bubblewrap"):
        grade(out, level=None, resume=True)


def test_a_batch_has_one_level_and_one_seed(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores must be comparable: anything else goes into another folder."""
    hand("ada")
    with results_lock.open_for_grading(out, resume=False) as folder:
        folder.begin(Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_A))
    with pytest.raises(UsageError, match="level A, but this run would use level D"):
        grade(out, resume=True)
    monkeypatch.setattr(selftest, "describe", lambda *_: LEVEL_A)
    with pytest.raises(UsageError, match="seed 7, not 8"):
        grade(out, resume=True, seed=8)
    assert not parts(out)


def test_a_worker_with_a_weaker_level_ends_the_batch(
    hand: Hand, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its score does not count."""
    hand("ada")
    monkeypatch.setattr(selftest, "describe", lambda *_: replace(LEVEL_D, level="A"))
    with pytest.raises(UsageError, match="got isolation level D instead of A"):
        grade(out)
    assert not parts(out)
