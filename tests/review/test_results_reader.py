"""A results folder is readable with any content, and while `grade` writes to it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from report.samples import LEVEL_A, LEVEL_D, OURS, PRIORITY, ROUTING, TIMEOUT, scorecard

from archprep.core.errors import UsageError
from archprep.core.model import Evidence, Scorecard
from archprep.interview.model import Batch, Graded, Received, SubmittedExercise
from archprep.interview.reports import statistics
from archprep.interview.results import results_lock
from archprep.interview.results.results_folder import ResultsFolder
from archprep.review import candidate_rows
from archprep.review.candidate_results import NOT_YET
from archprep.review.candidate_rows import CandidateRow
from archprep.review.results_reader import ResultsReader

BATCH = Batch(7, "2026-01-01T00:00:00+00:00", "1.0", LEVEL_A)
CARD = scorecard(ROUTING, PRIORITY)
SOURCE = {"answer.py": "x = 'café'\r\n"}


def received(name: str, *exercises: str, **changes: object) -> Received:
    parts = tuple(SubmittedExercise(exercise, Path()) for exercise in exercises)
    made = Received(name, name.lower(), f"{name}.zip", "2026-01-02T00:00:00+00:00", "d1", parts)
    return replace(made, **changes)  # type: ignore[arg-type]


def card(exercise: str, *criteria: object, **changes: object) -> Graded:
    changed = replace(scorecard(*criteria or CARD.criteria), exercise=exercise, **changes)  # type: ignore[arg-type]
    return Graded(exercise, changed, source=SOURCE)


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """Results of Ada, who has two exercises; the lock is released."""
    with results_lock.open_for_grading(tmp_path / "results", resume=False) as made:
        made.begin(BATCH)
    made.receive(received("Ada", "q1", "q3"))
    made.save("ada", "d1", card("q1"))
    made.save("ada", "d1", card("q3"))
    return made


def opened(folder: ResultsFolder) -> ResultsReader:
    return ResultsReader(folder.root)


def one_row(reader: ResultsReader, slug: str) -> CandidateRow:
    return next(row for row in reader.rows() if row.slug == slug)


def labels(folder: ResultsFolder, slug: str = "ada") -> set[str]:
    row = one_row(opened(folder), slug)
    return set(row.labels)


# ------------------------------------------------------------------ folders


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    """The message is that of `archprep regrade`."""
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match=r"has no results|does not exist") as caught:
            ResultsReader(place)
        assert caught.value.tip


@pytest.mark.parametrize(("text", "says"), [("{", "is damaged"), ('{"format": 9}', "newer")])
def test_an_unreadable_batch_is_refused(folder: ResultsFolder, text: str, says: str) -> None:
    """It may be damaged, or written by a newer archprep."""
    (folder.root / "batch.json").write_text(text)
    with pytest.raises(UsageError, match=says):
        opened(folder)


def test_the_batch_is_available(folder: ResultsFolder) -> None:
    """It has what all candidates share."""
    assert opened(folder).batch == BATCH
    assert opened(folder).root == folder.root


def test_reading_writes_nothing(folder: ResultsFolder) -> None:
    """There is not even a lock file: the folder may be read-only."""
    (folder.root / "lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")}
    whole = opened(folder)
    whole.rows()
    whole.earlier("ada")
    assert not whole.is_being_graded()
    assert {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")} == before


def test_a_running_grade_is_detected(folder: ResultsFolder) -> None:
    """Other readers are not mistaken for it."""
    whole = opened(folder)
    with results_lock.open_existing(folder.root):
        assert whole.is_being_graded()
        assert len(whole.rows()) == 1
    assert not whole.is_being_graded()
    with results_lock.open_existing(folder.root):
        pass
    with (folder.root / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not whole.is_being_graded()


def test_a_fifo_as_lock_file_does_not_block(folder: ResultsFolder) -> None:
    """The lock file may be anything."""
    (folder.root / "lock").unlink()
    os.mkfifo(folder.root / "lock")
    assert not opened(folder).is_being_graded()


# ------------------------------------------------------------------ rows


def test_a_row_has_no_large_parts(folder: ResultsFolder) -> None:
    """It has no evidence and source, and nothing reported by the candidate's machine."""
    folder.receive(
        received("Ada", "q1", "q3", reported={"edited": ["x"] * 9}, flags=("late by 1",))
    )
    (row,) = opened(folder).rows()
    small = [
        replace(
            c, evidence=Evidence(), expected=None, observed=None, hint=None, rules=(), broken=None
        )
        for c in CARD.criteria
    ]
    assert row.slug == "ada"
    assert row.result.received == received("Ada", "q1", "q3", flags=("late by 1",))
    assert [graded.source for graded in row.result.graded] == [{}, {}]
    for graded in row.result.graded:
        assert graded.scorecard
        assert list(graded.scorecard.criteria) == small
        assert graded.scorecard.submission == replace(CARD.submission, files=())
        assert bare(graded.scorecard) == bare(replace(CARD, exercise=graded.exercise))
    assert row.seconds == pytest.approx(2 * CARD.duration_s)
    assert row.result.score == 2 * CARD.score


def bare(whole: Scorecard) -> Scorecard:
    return replace(whole, criteria=(), submission=CARD.submission)


def test_invalid_unicode_does_not_prevent_a_row(folder: ResultsFolder) -> None:
    """The row is the same as with valid text."""
    folder.save("ada", "d1", replace(card("q3"), source={"answer.py": "x = 'caf\udce9'"}))
    (row,) = opened(folder).rows()
    first, second = (graded.scorecard for graded in row.result.graded)
    assert first
    assert second
    assert replace(first, exercise="q3") == second


def test_equal_texts_are_shared(folder: ResultsFolder) -> None:
    """A thousand candidates have the same criteria."""
    (row,) = opened(folder).rows()
    first, second = (graded.scorecard for graded in row.result.graded)
    assert first
    assert second
    assert first.criteria[0].title is second.criteria[0].title
    assert first.isolation is second.isolation


def test_rows_are_sorted_by_slug(folder: ResultsFolder) -> None:
    """Other files and folders are ignored."""
    folder.receive(received("Zoe", problem="is no zip archive"))
    folder.receive(received("Bob", "q1"))
    (folder.root / "candidates" / ".hidden").mkdir()
    (folder.root / "candidates" / "notes.txt").touch()
    assert [row.slug for row in opened(folder).rows()] == ["ada", "bob", "zoe"]


@pytest.mark.parametrize(
    "slug",
    ["", ".", "..", "../ada", "ada/", "/etc", "ada\0", "ADA", "eve", "a" * 100_000, "\udce9"],
)
def test_an_unknown_slug_has_no_result(folder: ResultsFolder, slug: str) -> None:
    """No text leads out of the folder."""
    whole = opened(folder)
    with pytest.raises(KeyError):
        whole.result(slug)
    assert whole.earlier(slug) == []
    with pytest.raises(KeyError):
        whole.result(slug)


# ------------------------------------------------------------------ labels


def test_an_ordinary_candidate_has_no_labels(folder: ResultsFolder) -> None:
    """Failing criteria are not a reason for one."""
    assert labels(folder) == set()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(("late by 3 min",), {"late"}), (("begun too late by far", "later than planned"), set())],
)
def test_late_depends_on_the_flag(
    folder: ResultsFolder, flags: tuple[str, ...], expected: set[str]
) -> None:
    """The beginning of its text decides."""
    folder.receive(received("Ada", "q1", "q3", flags=flags))
    assert labels(folder) == expected


@pytest.mark.parametrize(
    ("graded", "expected"),
    [
        (card("q1", ROUTING, TIMEOUT), {"time-out"}),
        (card("q1", ROUTING, replace(TIMEOUT, reason="crash")), set()),
        (card("q1", ROUTING, OURS), {"not scored"}),
        (card("q1", isolation=LEVEL_D), {"weaker isolation"}),
        (Graded("q1", problem="answer.py is missing."), {"broken"}),
        (Graded("q1", problem="caf\udce9.py is missing."), {"broken"}),
        (Graded("q1", problem="not graded: a grader failed."), {"not scored"}),
    ],
)
def test_labels_depend_on_the_results(
    folder: ResultsFolder, graded: Graded, expected: set[str]
) -> None:
    """ "broken" is the candidate's fault, "not scored" is not."""
    folder.save("ada", "d1", graded)
    assert labels(folder) == expected


def test_a_submission_that_cannot_be_unpacked_is_broken(folder: ResultsFolder) -> None:
    """It has no exercises to wait for."""
    folder.receive(received("Bob", problem="is no zip archive"))
    assert labels(folder, "bob") == {"broken"}


def test_an_ungraded_exercise_is_waiting(folder: ResultsFolder) -> None:
    """Other exercises of the candidate keep their points."""
    folder.graded_file("ada", "q3").unlink()
    assert labels(folder) == {"waiting"}
    graded = opened(folder).result("ada").graded
    assert graded[0].scorecard == replace(CARD, exercise="q1")
    assert graded[1] == Graded("q3", problem=NOT_YET)


def test_a_candidate_without_a_file_is_waiting(folder: ResultsFolder) -> None:
    """The folder is created just before the file."""
    (folder.root / "candidates" / "bob").mkdir()
    assert labels(folder, "bob") == {"waiting"}
    assert opened(folder).result("bob").received.problem


# ------------------------------------------------------------------ damage


def part(scorecard: object, *, number: int = 1, problem: str | None = None) -> str:
    graded = {"exercise": "q1", "scorecard": scorecard, "problem": problem, "source": {}}
    return json.dumps({"format": number, "digest": "d1", "graded": graded})


NEWER = part(None, number=2, problem="answer.py is missing.")
NEITHER = part(None)
NO_SCORECARD = part({"format": 1})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\xff",
        '{"x": ' + "[" * 100_000,
        '{"format": 2}',
        NEWER,
        NEITHER,
        NO_SCORECARD,
    ],
)
def test_a_damaged_exercise_has_a_problem(folder: ResultsFolder, text: str) -> None:
    """The row and the full result have the same message; other exercises count."""
    folder.graded_file("ada", "q1").write_bytes(text.encode("latin-1"))
    assert labels(folder) == {"damaged", "not scored"}
    (row,) = opened(folder).rows()
    first, second = opened(folder).result("ada").graded
    assert first.scorecard is None
    assert first.problem == row.result.graded[0].problem
    assert second.scorecard
    assert row.result.score == CARD.score


@pytest.mark.parametrize(
    "changes",
    [{"score": 100}, {"seed": "x"}, {"format": 3}, {"exercise_version": None}, {"criteria": [{}]}],
)
def test_an_edited_scorecard_is_damaged(folder: ResultsFolder, changes: dict[str, object]) -> None:
    """A row never shows points that the full scorecard does not have."""
    path = folder.graded_file("ada", "q1")
    data = json.loads(path.read_text())
    data["graded"]["scorecard"] |= changes
    path.write_text(json.dumps(data))
    assert labels(folder) == {"damaged", "not scored"}
    assert opened(folder).result("ada").graded[0].scorecard is None


@pytest.mark.parametrize("exercise", ["q1", "q3"])
def test_the_result_of_another_exercise_is_damaged(folder: ResultsFolder, exercise: str) -> None:
    """A file may have been copied to the wrong place."""
    other = {"q1": "q3", "q3": "q1"}[exercise]
    folder.graded_file("ada", exercise).write_bytes(folder.graded_file("ada", other).read_bytes())
    assert "damaged" in labels(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "bob"},
        {"slug": "../../x"},
        {"exercises": ["../../../x"]},
        {"exercises": ["q1/../q1"]},
        {"exercises": 5},
        {"name": 5},
        {"format": 2},
    ],
)
def test_a_damaged_candidate_has_a_row(folder: ResultsFolder, changes: dict[str, object]) -> None:
    """It has a problem and no points, and names no other folder; other rows are not affected."""
    folder.receive(received("Bob", "q1"))
    path = folder.candidate("ada") / "candidate.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    ada, bob = opened(folder).rows()
    assert ada.labels == {"damaged"}
    assert bob.labels == {"waiting"}
    said = ada.result.received
    assert (said.name, said.slug, said.digest, said.exercises) == ("ada", "ada", "", ())
    assert said.problem
    assert opened(folder).result("ada").received == said


def test_a_folder_instead_of_a_file_is_damaged(folder: ResultsFolder) -> None:
    """So is a file instead of a folder: neither is waiting."""
    path = folder.graded_file("ada", "q1")
    path.unlink()
    path.mkdir()
    assert labels(folder) == {"damaged", "not scored"}
    shutil.rmtree(path.parent)
    path.parent.touch()
    assert labels(folder) == {"damaged", "not scored"}
    assert opened(folder).result("ada").graded[0].problem != NOT_YET


def test_a_candidate_whose_file_was_deleted_is_damaged(folder: ResultsFolder) -> None:
    """There are results, so it is not just being received."""
    (folder.candidate("ada") / "candidate.json").unlink()
    assert labels(folder) == {"damaged"}


# ------------------------------------------------------------------ changes


def test_unchanged_candidates_are_not_read_again(
    folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are the same objects."""
    folder.receive(received("Bob", "q1"))
    whole = opened(folder)
    ada, bob = before = whole.rows()
    assert whole.rows() is before
    read: list[str] = []
    real = candidate_rows.read_row
    monkeypatch.setattr(
        candidate_rows, "read_row", lambda f, slug: read.append(slug) or real(f, slug)
    )
    folder.save("bob", "d1", card("q1"))
    after = whole.rows()
    assert read == ["bob"]
    assert after[0] is ada
    assert after[1].labels == set()
    assert bob.labels == {"waiting"}


def test_every_change_is_detected(folder: ResultsFolder) -> None:
    """Files may be written, damaged, deleted or replaced."""
    whole = opened(folder)

    def now() -> tuple[int, set[str]]:
        (row,) = whole.rows()
        return row.result.score, set(row.labels)

    assert now() == (16, set())
    folder.save("ada", "d1", Graded("q3", problem="answer.py is missing."))
    assert now() == (8, {"broken"})
    path = folder.graded_file("ada", "q3")
    path.write_text("x" * path.stat().st_size)
    assert now() == (8, {"damaged", "not scored"})
    path.unlink()
    assert now() == (8, {"waiting"})
    folder.receive(received("Ada", "q1"))
    assert now() == (8, set())


def test_a_replaced_file_of_equal_size_and_time_is_read_again(folder: ResultsFolder) -> None:
    """Two files can be written within one tick of the clock."""
    whole = opened(folder)
    whole.rows()
    path = folder.graded_file("ada", "q1")
    found = path.stat()
    new = path.with_suffix(".new")
    new.write_text("x" * found.st_size)
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    new.replace(path)
    assert "damaged" in whole.rows()[0].labels


def test_added_and_removed_candidates_are_detected(folder: ResultsFolder) -> None:
    """The last one may be removed, too."""
    whole = opened(folder)
    assert len(whole.rows()) == 1
    folder.receive(received("Bob", problem="is no zip archive"))
    assert [row.slug for row in whole.rows()] == ["ada", "bob"]
    (folder.candidate("bob") / "candidate.json").unlink()
    folder.candidate("bob").rmdir()
    assert [row.slug for row in whole.rows()] == ["ada"]
    with pytest.raises(KeyError):
        whole.result("bob")


def test_concurrent_readers_see_the_same_rows(folder: ResultsFolder) -> None:
    """New candidates arrive meanwhile."""
    whole = opened(folder)
    seen: list[int] = []

    def look() -> None:
        seen.extend(len(whole.rows()) for _ in range(20))
        assert whole.result("ada")

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10):
        folder.receive(received(f"C{number}", "q1"))
    for thread in threads:
        thread.join()
    assert set(seen) <= set(range(1, 12))
    assert len(whole.rows()) == 11


# ------------------------------------------------------------------ complete results


def test_a_result_is_complete(folder: ResultsFolder) -> None:
    """It has evidence, source and reported values as they are on disk now."""
    folder.receive(received("Ada", "q1", "q3", reported={"edited": 3}))
    whole = opened(folder)
    result = whole.result("ada")
    assert result == folder.result("ada")
    assert result.graded[0] == card("q1")
    assert result.received.reported == {"edited": 3}
    folder.save("ada", "d1", card("q1", ROUTING))
    assert whole.result("ada").graded[0] == card("q1", ROUTING)


def test_earlier_gradings_are_newest_first(folder: ResultsFolder) -> None:
    """They have evidence but no source, and the numbers of their folders."""
    for number in range(2, 12):
        folder.copy_to_earlier("ada")
        folder.save("ada", "d1", card("q1", replace(ROUTING, duration_s=float(number))))
    found = opened(folder).earlier("ada")
    assert [number for number, _ in found] == list(range(10, 0, -1))
    oldest = found[-1][1]
    assert oldest.received == received("Ada", "q1", "q3")
    assert [graded.scorecard for graded in oldest.graded] == [
        replace(CARD, exercise="q1"),
        replace(CARD, exercise="q3"),
    ]
    assert all(graded.source == {} for _, result in found for graded in result.graded)


def test_damaged_earlier_gradings_are_ignored(folder: ResultsFolder) -> None:
    """One damaged exercise does not affect the others; other files are ignored."""
    for _ in range(4):
        folder.copy_to_earlier("ada")
    earlier = folder.candidate("ada") / "earlier"
    (earlier / "1" / "candidate.json").write_text("{")
    (earlier / "2" / "parts" / "q1.json").write_text("{")
    for exercise in ("q1", "q3"):
        (earlier / "3" / "parts" / f"{exercise}.json").write_text("{")
    (earlier / ".77.archprep-new").mkdir()
    shutil.copytree(earlier / "4", earlier / "٣")
    assert [number for number, _ in opened(folder).earlier("ada")] == [4, 2]
    found = dict(opened(folder).earlier("ada"))
    assert [bool(graded.scorecard) for graded in found[2].graded] == [False, True]
    folder.receive(received("Bob", "q1"))
    assert opened(folder).earlier("bob") == []


def test_an_earlier_grading_without_a_score_is_listed(folder: ResultsFolder) -> None:
    """A missing file was its result."""
    problem = Graded("q1", problem="answer.py is missing.")
    folder.receive(received("Bob", "q1"))
    folder.save("bob", "d1", problem)
    folder.copy_to_earlier("bob")
    assert [result.graded for _, result in opened(folder).earlier("bob")] == [(problem,)]


# ------------------------------------------------------------------ statistics


def test_statistics_cover_all_candidates(folder: ResultsFolder) -> None:
    """They are computed again only after a change."""
    folder.receive(received("Bob", problem="is no zip archive"))
    whole = opened(folder)
    before = whole.statistics()
    every = [folder.result(slug, sources=False) for slug in folder.slugs()]
    assert before == statistics.of(every)
    assert whole.statistics() is before
    folder.save("ada", "d1", card("q1", ROUTING))
    after = whole.statistics()
    assert after.exercises[0].criteria[0].id == ROUTING.id
    assert after != before
