"""What is saved is found again when the store is next opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archprep.core.model import (
    CriterionResult,
    Isolation,
    Limits,
    Scorecard,
    State,
    Submission,
    SubmittedFile,
    TaskResult,
)
from archprep.workspace import store as store_module
from archprep.workspace.database import StoreError
from archprep.workspace.store import Store, cache_dir

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def card(tmp_path: Path) -> Scorecard:
    """A scorecard with 7 of 10 points and a staged submission."""
    root = tmp_path / "stage"
    root.mkdir()
    (root / "answer.py").write_bytes(b"# caf\xe9\n")
    submission = Submission(root, "d1", (SubmittedFile("answer.py", "00", 7),))
    return Scorecard(
        exercise="q1",
        title="Event bus",
        exercise_version=1,
        archprep_version="0.1.0",
        seed=2**63 - 1,
        started_at="2026-11-22T14:30:00+00:00",
        duration_s=1.5,
        isolation=Isolation(
            "D", "none", "6.18", 0, seccomp=False, selftest={}, sentence="", limits=Limits()
        ),
        submission=submission,
        tasks=(TaskResult(1, "First", 10, 7),),
        criteria=(result(7, State.PASSED), result(3, State.FAILED)),
    )


def result(points: int, state: State) -> CriterionResult:
    earned = points if state is State.PASSED else 0
    return CriterionResult(f"c{points}", "A behaviour", 1, points, earned, state)


def scoring(card: Scorecard, points: int) -> Scorecard:
    """The same scorecard with other points."""
    return replace(card, criteria=(result(points, State.PASSED),))


def test_nothing_is_written_before_something_is_saved(home: Path) -> None:
    """Reading on a new machine finds nothing and leaves no file."""
    with Store.open() as store:
        assert store.states(["q1"]) == {"q1": "not started"}
        assert store.last_started() is None
        assert store.workspace_of("q1") is None
        assert store.last_attempt("q1") is None
        assert store.submission_files("d1") == {}
        assert store.warnings == []
    assert not home.exists()


def test_an_attempt_is_saved_completely(card: Scorecard) -> None:
    """Score, seed, scorecard and the bytes of the submission are there after reopening."""
    with Store.open() as store:
        number = store.add_attempt(card, '{"score": 7}')
    with Store.open() as store:
        [attempt] = store.attempts("q1")
        assert (attempt.id, attempt.exercise, attempt.seed) == (number, "q1", 2**63 - 1)
        assert (attempt.score, attempt.max_score, attempt.digest) == (7, 10, "d1")
        assert (attempt.partial, attempt.scored) == (False, True)
        assert attempt.started_at == "2026-11-22T14:30:00+00:00"
        assert attempt.scorecard == '{"score": 7}'
        assert store.submission_files("d1") == {"answer.py": b"# caf\xe9\n"}


def test_attempts_come_oldest_first(card: Scorecard) -> None:
    """Each attempt has a higher number; those at other exercises are separate."""
    with Store.open() as store:
        numbers = [store.add_attempt(scoring(card, points), "{}") for points in (5, 9, 9, 4)]
        store.add_attempt(replace(card, exercise="q2"), "{}")
        assert numbers == sorted(set(numbers))
        assert [a.score for a in store.attempts("q1")] == [5, 9, 9, 4]
        assert [a.id for a in store.attempts("q1")] == numbers
        last, best = store.last_attempt("q1"), store.best_attempt("q1")
        assert last
        assert last.id == numbers[3]
        assert best
        assert best.id == numbers[2]


def test_only_complete_scored_attempts_can_be_the_best(card: Scorecard) -> None:
    """An attempt at one task, or one with a grader error, is not a result of the exercise."""
    grader_error = CriterionResult("c", "A behaviour", 1, 1, 0, State.GRADER_ERROR)
    with Store.open() as store:
        store.add_attempt(replace(card, partial=True), "{}")
        store.add_attempt(replace(card, criteria=(*card.criteria, grader_error)), "{}")
        assert store.best_attempt("q1") is None
        assert store.states() == {"q1": "in progress"}
        assert [(a.partial, a.scored) for a in store.attempts("q1")] == [
            (True, True),
            (False, False),
        ]


def test_states_of_exercises(card: Scorecard) -> None:
    """Not started, in progress (there is a workspace), or the best score."""
    with Store.open() as store:
        store.remember_workspace("q1", Path("a"))
        store.remember_workspace("q2", Path("b"))
        store.add_attempt(scoring(card, 73), "{}")
        store.add_attempt(scoring(card, 12), "{}")
        store.add_attempt(replace(scoring(card, 0), exercise="q4"), "{}")
        assert store.states(["q1", "q2", "q3", "q4"]) == {
            "q1": "best 73",
            "q2": "in progress",
            "q3": "not started",
            "q4": "best 0",
        }


def test_attempts_are_append_only(card: Scorecard) -> None:
    """Not even archprep itself can change or delete an attempt."""
    with Store.open() as store:
        store.add_attempt(card, "{}")
        for sql in ("UPDATE attempts SET score = 100", "DELETE FROM attempts"):
            with pytest.raises(StoreError, match="append-only"):
                store._db.write(sql, ())
        assert [a.score for a in store.attempts("q1")] == [7]


def test_the_last_started_exercise_is_the_one_started_last(tmp_path: Path) -> None:
    """Resuming counts as starting; an exercise's newest folder replaces the older one."""
    odd = tmp_path / "na\udcffme"
    with Store.open() as store:
        store.remember_workspace("q1", tmp_path / "old")
        store.remember_workspace("q2", tmp_path / "other")
        assert store.last_started() == ("q2", tmp_path / "other")
        store.remember_workspace("q1", odd)
    with Store.open() as store:
        assert store.last_started() == ("q1", odd)
        assert store.workspace_of("q1") == odd
        assert store.workspace_of("q2") == tmp_path / "other"


def test_hints_are_counted_by_exercise_and_key() -> None:
    """Each hint increases the count."""
    with Store.open() as store:
        taken = [store.take_hint("q1", "order"), store.take_hint("q1", "order")]
        assert (*taken, store.take_hint("q1", "retry"), store.take_hint("q2", "order")) == (
            1,
            2,
            1,
            1,
        )
        assert store.hints_taken("q1") == {"order": 2, "retry": 1}


def test_giving_up_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time is kept."""
    with Store.open() as store:
        assert store.gave_up("q1") is None
        store.give_up("q1")
        first = store.gave_up("q1")
        monkeypatch.setattr(store_module, "_now", lambda: "2099-01-01T00:00:00+00:00")
        store.give_up("q1")
        assert first == store.gave_up("q1") is not None
        assert store.gave_up("q2") is None


def test_a_submission_that_cannot_be_read_is_not_half_saved(card: Scorecard) -> None:
    """Attempt and files are saved together or not at all."""
    (card.submission.root / "answer.py").unlink()
    with Store.open() as store:
        with pytest.raises(StoreError):
            store.add_attempt(card, "{}")
        assert store.attempts("q1") == []


def test_archprep_home_moves_everything(home: Path) -> None:
    """State and caches follow the variable."""
    assert store_module.home() == home
    assert cache_dir() == home / "cache"


def test_without_the_variable_the_platform_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty ARCHPREP_HOME counts as unset."""
    monkeypatch.setenv("ARCHPREP_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert store_module.home().is_relative_to(tmp_path)
    assert store_module.home().name == "archprep"
