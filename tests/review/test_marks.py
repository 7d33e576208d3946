"""Marks are saved at once. Of two concurrent saves one fails with an error, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
from conftest import OrdinaryUser  # noqa: TC002 - as in the other test modules

from archprep.core.errors import UsageError
from archprep.review import mark_database, mark_store
from archprep.review.database_errors import ReadOnlyError
from archprep.review.mark_store import DATABASE_NAME, MarkStore
from archprep.review.marks import Mark, MarkKind, StaleMarkError, Target
from archprep.sandbox import isolation

ADA = Target("ada", MarkKind.COMMENT)
OVERRIDE = Target("ada", MarkKind.OVERRIDE, "q1", "adds")
ANSWER = Target("ada", MarkKind.ANSWER, "q1", "2")

Opener = Callable[[], MarkStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Open the marks of one folder any number of times."""
    made: list[MarkStore] = []

    def open_one() -> MarkStore:
        made.append(MarkStore.open(tmp_path))
        return made[-1]

    yield open_one
    for marks in made:
        marks.close()


@pytest.fixture
def marks(opened: Opener) -> MarkStore:
    """The marks of a new folder."""
    return opened()


def say(marks: MarkStore, text: str, version: int = 0, target: Target = ADA, **others) -> Mark:
    """Save a text."""
    given = {"points": None, "digest": "d1", "automatic": None, "who": "Grace"} | others
    return marks.save(target, text=text, version=version, **given)


def texts(marks: MarkStore, candidate: str = "ada") -> list[str]:
    return [mark.text for mark in reversed(marks.history(candidate))]


# ------------------------------------------------------------------ saving


def test_a_saved_mark_is_found_when_the_folder_is_reopened(opened):
    """All fields are restored."""
    saved = say(opened(), "it adds", target=OVERRIDE, points=7, automatic=0)
    assert (saved.version, saved.points, saved.automatic, saved.digest) == (1, 7, 0, "d1")
    assert (saved.who, saved.undoes) == ("Grace", None)
    assert saved.at.endswith("+00:00")
    later = opened()
    assert later.current("ada") == [saved]
    assert later.history("ada") == [saved]
    assert later.latest(OVERRIDE) == saved


def test_a_change_adds_a_version(marks):
    """The history has all versions, newest first; the latest is current."""
    first = say(marks, "good")
    second = say(marks, "very good", version=1)
    assert marks.history("ada") == [second, first]
    assert marks.history("ada", limit=1) == [second]
    assert marks.history("ada", limit=-1) == []
    assert marks.current() == [second]


def test_marks_of_different_targets_are_independent(marks):
    """Candidate, kind, exercise and item identify a target."""
    targets = [
        ADA,
        OVERRIDE,
        Target("ada", MarkKind.COMMENT, "q1"),
        Target("ada", MarkKind.OVERRIDE, "q2", "adds"),
        Target("ada", MarkKind.OVERRIDE, "q1", "removes"),
        Target("bob", MarkKind.COMMENT),
    ]
    for target in targets:
        points = 1 if target.kind is MarkKind.OVERRIDE else None
        assert say(marks, str(target), target=target, points=points).version == 1
    assert [mark.target for mark in marks.current()] == targets
    assert [mark.target for mark in marks.current("ada")] == targets[:-1]
    assert [mark.target for mark in marks.history("bob")] == targets[-1:]


def test_an_unmarked_target_has_no_mark(marks):
    """There is neither a current mark nor a history."""
    assert marks.current() == []
    assert marks.current("ada") == []
    assert marks.history("ada") == []
    assert marks.latest(ADA) is None


def test_saving_over_a_newer_version_is_a_conflict(marks):
    """The newer version is kept, and the error contains it."""
    theirs = say(marks, "theirs", who="Linus")
    with pytest.raises(StaleMarkError, match="Linus changed this mark") as caught:
        say(marks, "mine")
    assert caught.value.current == theirs
    assert caught.value.tip
    assert texts(marks) == ["theirs"]


@pytest.mark.parametrize("version", [-1, 2, 10**30])
def test_an_unknown_version_is_a_conflict(marks, version):
    """Only the latest version can be replaced."""
    first = say(marks, "first")
    with pytest.raises(StaleMarkError) as caught:
        say(marks, "second", version=version)
    assert caught.value.current == first


def test_a_version_of_an_unsaved_mark_is_a_conflict(marks):
    """The database may have been replaced by an older one while a page was open."""
    with pytest.raises(StaleMarkError, match="This mark changed") as caught:
        say(marks, "second", version=1)
    assert caught.value.current is None


@pytest.mark.parametrize("version", [0, 1, 7])
def test_saving_unchanged_content_adds_no_version(marks, version):
    """A form that is sent twice is not a conflict, whatever version its page has seen."""
    first = say(marks, "good")
    assert say(marks, "good", version=version, who="Linus") == first
    assert marks.history("ada") == [first]


def test_the_same_content_for_another_submission_is_a_new_version(marks):
    """The same holds if the automatic points have changed."""
    given = {"target": OVERRIDE, "points": 3}
    say(marks, "why", **given, digest="d1", automatic=0)
    say(marks, "why", **given, digest="d2", automatic=0, version=1)
    assert say(marks, "why", **given, digest="d2", automatic=5, version=2).version == 3


def test_saving_an_empty_form_adds_no_version(marks):
    """There is nothing to remove."""
    assert say(marks, " \r\n ").is_empty
    assert say(marks, "").number == 0
    assert marks.history("ada") == []


def test_a_mark_can_be_removed(marks):
    """It is no longer current, but the next version follows the removal."""
    say(marks, "why", target=OVERRIDE, points=3, automatic=0)
    empty = say(marks, "", target=OVERRIDE, version=1)
    assert empty.is_empty
    assert marks.current() == []
    assert marks.latest(OVERRIDE) == empty
    assert say(marks, "", target=OVERRIDE, version=2, digest="d2") == empty
    assert say(marks, "again", target=OVERRIDE, points=1, version=2, automatic=0).version == 3


def test_zero_points_are_not_empty(marks):
    """0 is a mark."""
    assert not say(marks, "", target=ANSWER, points=0).is_empty


def test_records_cannot_be_changed_or_deleted(marks, tmp_path):
    """Triggers in the database prevent it."""
    say(marks, "good")
    database = sqlite3.connect(tmp_path / DATABASE_NAME)
    for statement in ("UPDATE marks SET text = ''", "DELETE FROM marks"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            database.execute(statement)
    database.close()


# ------------------------------------------------------------------ undoing


def test_undoing_restores_the_previous_content(marks):
    """It adds a version that names the undone one."""
    say(marks, "good", digest="d0")
    second = say(marks, "bad", version=1)
    third = marks.undo(second.number, "Linus")
    assert (third.text, third.digest, third.version) == ("good", "d0", 3)
    assert (third.who, third.undoes) == ("Linus", second.number)
    assert marks.current() == [third]
    assert texts(marks) == ["good", "bad", "good"]


def test_undoing_the_first_version_removes_the_mark(marks):
    """There is no earlier content."""
    first = say(marks, "why", target=OVERRIDE, points=3, automatic=0)
    empty = marks.undo(first.number, "Linus")
    assert empty.is_empty
    assert (empty.automatic, empty.undoes) == (None, first.number)
    assert marks.current() == []


def test_an_undo_can_be_undone(marks):
    """An undo is a version like any other."""
    first = say(marks, "why", target=OVERRIDE, points=3, automatic=0)
    empty = marks.undo(first.number, "Linus")
    again = marks.undo(empty.number, "Grace")
    assert (again.points, again.text, again.automatic) == (3, "why", 0)


def test_only_the_latest_version_can_be_undone(marks):
    """Otherwise the reviewer has an outdated page."""
    first = say(marks, "good")
    second = say(marks, "bad", version=1)
    with pytest.raises(StaleMarkError) as caught:
        marks.undo(first.number, "Linus")
    assert caught.value.current == second
    marks.undo(second.number, "Linus")
    with pytest.raises(StaleMarkError):
        marks.undo(second.number, "Linus")
    assert texts(marks) == ["good", "bad", "good"]


@pytest.mark.parametrize("number", [-1, 0, 2, 2**63 - 1, 2**63, 10**30])
def test_an_unknown_change_cannot_be_undone(marks, number):
    """Numbers out of SQLite's range are unknown, too."""
    say(marks, "good")
    with pytest.raises(UsageError, match="does not exist"):
        marks.undo(number, "Linus")


# ------------------------------------------------------------------ what may be saved


@pytest.mark.parametrize(
    "text",
    ["x" * 20_000, "  two\n\n lines \t", "\x1b[2J\u202e<script>", "family: 👨‍👩‍👧", "\\u0000"],
)
def test_text_is_saved_unchanged(marks, text):
    """Sanitizing happens when it is shown."""
    assert say(marks, text).text == text
    assert marks.current()[0].text == text


def test_line_breaks_are_normalized(marks):
    """Forms send CRLF, so 20,000 typed characters may arrive as more."""
    assert say(marks, "\r\n".join(["x"] * 10_000)).text == "\n".join(["x"] * 10_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [("x" * 20_001, "20,001 characters"), ("a\0b", "NUL"), ("a\ud800b", "lone surrogate")],
)
def test_text_that_cannot_be_saved_is_refused(marks, text, says):
    """The error says why."""
    with pytest.raises(UsageError, match=says):
        say(marks, text)
    assert marks.history("ada") == []


@pytest.mark.parametrize("odd", ["a\0b", "\udcff", "x" * 301])
@pytest.mark.parametrize("part", ["candidate", "exercise", "item", "digest"])
def test_invalid_keys_are_refused(marks, part, odd):
    """This holds for every part of a target and for the digest."""
    names = {"candidate": "ada", "exercise": "q1", "item": "1", "digest": "d1"} | {part: odd}
    digest = names.pop("digest")
    target = Target(kind=MarkKind.ANSWER, **names)
    with pytest.raises(UsageError):
        say(marks, "x", target=target, digest=digest)
    assert marks.latest(target) is None
    assert marks.history(target.candidate) == []
    assert marks.current(target.candidate) == []


def test_a_mark_needs_a_candidate(marks):
    """A target without a candidate is invalid."""
    with pytest.raises(UsageError):
        say(marks, "x", target=Target("", MarkKind.COMMENT))


@pytest.mark.parametrize(
    ("target", "points", "text"),
    [
        (OVERRIDE, 3, ""),
        (OVERRIDE, 3, " \n"),
        (OVERRIDE, 0, ""),
        (OVERRIDE, None, "why"),
        (OVERRIDE, -1, "why"),
        (OVERRIDE, 10**30, "why"),
        (ANSWER, 5, ""),
        (ANSWER, -1, ""),
        (ADA, 1, "why"),
    ],
)
def test_invalid_combinations_are_refused(marks, target, points, text):
    """An override needs points and a reason, an answer has 0 to 4 points, a comment has none."""
    with pytest.raises(UsageError):
        say(marks, text, target=target, points=points)
    assert marks.history("ada") == []


@pytest.mark.parametrize(("points", "text"), [(0, ""), (4, ""), (None, "a remark"), (2, "both")])
def test_an_answer_may_have_points_or_a_comment_or_both(marks, points, text):
    """Either one is a mark."""
    assert say(marks, text, target=ANSWER, points=points).version == 1


@pytest.mark.parametrize(
    ("who", "name"),
    [
        (" Grace \n Hopper ", "Grace Hopper"),
        ("G" * 100, "G" * 80),
        ("", "unnamed"),
        (" \x1b[2J\0", "unnamed"),
        ("\u202eecarG", "ecarG"),
        ("a\ud800", "a\ufffd"),
    ],
)
def test_the_reviewers_name_is_sanitized(marks, who, name):
    """It is shown on every page."""
    first = say(marks, "x", who=who)
    assert first.who == name
    assert marks.undo(first.number, who).who == name


# ------------------------------------------------------------------ several at once


WRITER = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from archprep.review import mark_database
from archprep.review.mark_store import MarkStore
from archprep.review.marks import MarkKind, StaleMarkError, Target

mark_database._BUSY_SECONDS = 100  # a busy machine is no defect
me, rounds, threads = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
marks = MarkStore.open(Path(sys.argv[1]))
target = Target("ada", MarkKind.COMMENT)

def write(thread):
    won, told, seen = {}, 0, 0
    for number in range(rounds):
        text = f"{me}{thread}.{number}"
        while text not in won:
            try:
                mark = marks.save(target, points=None, text=text, version=seen,
                                  digest="", automatic=None, who=me)
                won[text] = seen = mark.version
            except StaleMarkError as stale:
                told, seen = told + 1, stale.current.version
    return won, told

with ThreadPoolExecutor(threads) as pool:
    print(json.dumps(list(pool.map(write, range(threads)))))
marks.close()
"""


def started_together(root: Path, names: str, rounds: int, threads: int) -> list:
    """The versions that each process saved, and its number of conflicts."""
    command = [sys.executable, "-W", "error", "-c", WRITER, str(root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen([*command, name, str(rounds), str(threads)], **pipes) for name in names
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    done = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(writers)
    return [thread for out, _ in done for thread in json.loads(out)]


def test_concurrent_processes_and_threads_lose_no_mark(tmp_path, opened):
    """They create the database together, then save to one target: each version has one winner."""
    threads = started_together(tmp_path, names="ab", rounds=8, threads=6)
    versions = [version for won, _ in threads for version in won.values()]
    assert sorted(versions) == list(range(1, 2 * 6 * 8 + 1))
    assert sum(told for _, told in threads) > 0, "nobody was in anybody's way"
    saved = {mark.text: mark.version for mark in opened().history("ada")}
    assert saved == {text: version for won, _ in threads for text, version in won.items()}


def test_of_many_threads_with_the_same_version_one_wins(marks):
    """All others get a conflict with the winner's version."""
    barrier = Barrier(16)

    def save(number: int) -> Mark | StaleMarkError:
        barrier.wait()
        try:
            return say(marks, f"text {number}")
        except StaleMarkError as stale:
            return stale

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(save, range(16)))
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Mark)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, StaleMarkError)]
    assert [stale.current for stale in losers] == [winner] * 15
    assert marks.history("ada") == [winner]


def test_of_many_threads_that_undo_a_change_one_wins(marks):
    """All others get a conflict."""
    first = say(marks, "good")
    barrier = Barrier(8)

    def undo(_: int) -> bool:
        barrier.wait()
        try:
            return bool(marks.undo(first.number, "Linus"))
        except StaleMarkError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(undo, range(8))) == 1
    assert texts(marks) == ["good", ""]


def test_threads_queue_for_the_database(marks, monkeypatch):
    """SQLite would let them in at random, and time out some."""
    monkeypatch.setattr(mark_database, "_BUSY_SECONDS", 0)
    barrier = Barrier(16)

    def save(number: int) -> Mark:
        barrier.wait()
        return say(marks, "x", target=Target(f"c{number}", MarkKind.COMMENT))

    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(save, range(16)))) == 16
    assert len(marks.current()) == 16


def test_reading_marks_is_thread_safe(opened, monkeypatch):
    """One thread is stopped while iterating over the cache and another one updates it."""
    saves, reads = opened(), opened()
    for number in range(3):
        say(saves, "x", target=Target("ada", MarkKind.COMMENT, f"q{number}"))
    inside, disturbed = Event(), Event()

    def is_empty(_: Mark) -> bool:
        if not inside.is_set():
            inside.set()
            disturbed.wait(0.2)
        return False

    monkeypatch.setattr(Mark, "is_empty", property(is_empty))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(reads.current, "ada")
        assert inside.wait(10)
        say(saves, "x", target=Target("ada", MarkKind.COMMENT, "q3"))
        second = pool.submit(reads.current, "ada")
        second.add_done_callback(lambda _: disturbed.set())
        assert (len(first.result()), len(second.result())) == (3, 4)


def test_marks_of_another_process_are_seen_immediately(opened):
    """Both keep the folder open."""
    mine, theirs = opened(), opened()
    assert mine.current() == []
    first = say(theirs, "first")
    assert mine.current() == [first]
    second = say(theirs, "second", version=1)
    assert mine.current("ada") == [second]
    theirs.undo(second.number, "Linus")
    assert [mark.text for mark in mine.current("ada")] == ["first"]


def test_the_unique_constraint_detects_conflicts_without_locks(marks, monkeypatch):
    """Some file systems have no working locks."""
    theirs = say(marks, "theirs")
    really = iter([None])
    newest = mark_store._find_latest
    monkeypatch.setattr(mark_store, "_find_latest", lambda *a, **k: next(really, newest(*a, **k)))
    with pytest.raises(StaleMarkError) as caught:
        say(marks, "mine")
    assert caught.value.current == theirs
    assert texts(marks) == ["theirs"]


def test_a_lock_by_another_program_blocks_saving_temporarily(marks, tmp_path, monkeypatch):
    """Reading still works; saving fails with a message and works once the lock is released."""
    say(marks, "first")
    monkeypatch.setattr(mark_database, "_BUSY_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UsageError, match="another program") as caught:
        say(marks, "second", version=1)
    assert not isinstance(caught.value, ReadOnlyError)
    assert texts(marks) == ["first"]
    with MarkStore.open(tmp_path) as late:
        assert (late.read_only_reason, texts(late)) == ("", ["first"])
    other.close()
    assert say(marks, "second", version=1).version == 2


# ------------------------------------------------------------------ the file


def test_the_database_is_a_single_file(marks, tmp_path):
    """A journal could be missed by a copy, and cannot be created in a read-only folder."""
    say(marks, "good")
    marks.current()
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE_NAME]


def test_the_path_may_contain_special_characters(tmp_path):
    """The path becomes part of a URI."""
    folder = tmp_path / "50% of #1? a&b=ü"
    folder.mkdir()
    with MarkStore.open(folder) as marks:
        say(marks, "good")
    assert [path.name for path in folder.iterdir()] == [DATABASE_NAME]


@pytest.mark.parametrize(
    "content", [b"no database", b"x" * 5000, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_file_that_is_not_a_database_is_refused(tmp_path, content):
    """It is not changed."""
    (tmp_path / DATABASE_NAME).write_bytes(content)
    with pytest.raises(UsageError, match=r"review\.sqlite3 is damaged") as caught:
        MarkStore.open(tmp_path)
    assert "Move it elsewhere" in str(caught.value.tip)
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path):
    """It is not changed."""
    with sqlite3.connect(tmp_path / DATABASE_NAME) as other:
        other.execute("CREATE TABLE marks (number INTEGER)")
    other.close()
    before = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(UsageError, match="not an archprep review database"):
        MarkStore.open(tmp_path)
    assert (tmp_path / DATABASE_NAME).read_bytes() == before


def test_a_directory_is_refused(tmp_path):
    """It cannot be a database."""
    (tmp_path / DATABASE_NAME).mkdir()
    with pytest.raises(UsageError, match="not an archprep review database"):
        MarkStore.open(tmp_path)


def test_a_database_of_a_newer_archprep_is_refused(opened, tmp_path):
    """The error says how to upgrade, and the file is not changed."""
    say(opened(), "good")
    with sqlite3.connect(tmp_path / DATABASE_NAME) as newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    before = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(UsageError, match="newer archprep") as caught:
        opened()
    assert "Upgrade" in str(caught.value.tip)
    assert (tmp_path / DATABASE_NAME).read_bytes() == before


def test_an_empty_file_becomes_a_database(tmp_path, opened):
    """A process may have been killed before writing the first byte."""
    (tmp_path / DATABASE_NAME).touch()
    assert say(opened(), "good").version == 1


def test_damage_while_open_is_an_error_message(marks, tmp_path):
    """Reading and saving raise UsageError."""
    say(marks, "good")
    (tmp_path / DATABASE_NAME).write_bytes(b"garbage!" * 2000)
    for act in (marks.current, lambda: marks.history("ada"), lambda: say(marks, "better")):
        with pytest.raises(UsageError, match="is damaged"):
            act()


def test_a_deleted_database_is_an_error_message(marks, tmp_path):
    """Saving to a deleted file would silently lose the mark."""
    say(marks, "good")
    (tmp_path / DATABASE_NAME).rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="cannot be read"):
        marks.current()
    with pytest.raises(ReadOnlyError):
        say(marks, "better", version=1)
    assert not (tmp_path / DATABASE_NAME).exists()


def test_a_replaced_database_is_read_again(marks, tmp_path):
    """A restored backup has other records with the same numbers."""
    say(marks, "before")
    shutil.copy(tmp_path / DATABASE_NAME, tmp_path / "backup")
    say(marks, "after", version=1)
    assert [mark.text for mark in marks.current()] == ["after"]
    (tmp_path / "backup").rename(tmp_path / DATABASE_NAME)
    assert [mark.text for mark in marks.current()] == ["before"]


CUT_SHORT = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN IMMEDIATE")
for version in range(2, 500):
    db.execute("INSERT INTO marks (candidate, kind, exercise, item, version, text, digest, who, at)"
               " VALUES ('ada', 'comment', '', '', ?, ?, '', '', '')", (version, "x" * 500))
os._exit(0)
"""


def cut_short(path: Path) -> None:
    """Kill a process during a save: half of it is in the file, and the journal exists."""
    subprocess.run([sys.executable, "-c", CUT_SHORT, str(path)], check=True)
    assert Path(f"{path}-journal").stat().st_size > 0


def test_an_interrupted_save_is_rolled_back(marks, tmp_path):
    """This holds for processes that have the database open and for those that open it later."""
    say(marks, "whole")
    for opened_before in (True, False):
        cut_short(tmp_path / DATABASE_NAME)
        if opened_before:
            assert texts(marks) == ["whole"]
        else:
            with MarkStore.open(tmp_path) as late:
                assert texts(late) == ["whole"]
    assert say(marks, "next", version=1).version == 2


# ------------------------------------------------------------------ where nothing can be written


def check_read_only(folder: Path, saved: list[str]) -> None:
    """Reading works, saving fails with the reason, and no file is created."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with MarkStore.open(folder) as marks:
        assert "cannot be written" in marks.read_only_reason
        assert str(folder) in marks.read_only_reason
        assert marks.current() == marks.current("ada") == marks.history("ada")
        assert texts(marks) == saved
        assert [marks.latest(ADA)] == (marks.current() or [None])
        with pytest.raises(ReadOnlyError, match="cannot be written") as caught:
            say(marks, "more", version=len(saved))
        assert caught.value.tip
        with pytest.raises(UsageError):
            marks.undo(1, "Linus")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def fill(folder: Path) -> None:
    """Save a mark."""
    with MarkStore.open(folder) as marks:
        say(marks, "good")


@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o555), (0o644, 0o555), (0o444, 0o755)])
def test_a_read_only_folder_or_file_can_be_read(user: OrdinaryUser, file, folder):
    """Saving fails with the reason."""
    fill(user.folder)
    user.become()
    (user.folder / DATABASE_NAME).chmod(file)
    user.folder.chmod(folder)
    check_read_only(user.folder, ["good"])


def test_a_read_only_folder_without_marks_is_empty(user: OrdinaryUser):
    """No database is created."""
    user.become()
    user.folder.chmod(0o555)
    check_read_only(user.folder, [])


def test_an_unreadable_database_is_an_error(user: OrdinaryUser):
    """Showing results as if nobody had marked them would mislead."""
    fill(user.folder)
    user.become()
    (user.folder / DATABASE_NAME).chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        MarkStore.open(user.folder)


def test_an_interrupted_save_in_a_read_only_folder_is_an_error(user: OrdinaryUser):
    """It cannot be rolled back there."""
    fill(user.folder)
    cut_short(user.folder / DATABASE_NAME)
    user.become()
    user.folder.chmod(0o555)
    with pytest.raises(UsageError, match="interrupted") as caught:
        MarkStore.open(user.folder)
    assert "Copy the whole folder" in str(caught.value.tip)


IN_A_MOUNT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from review import test_marks as tests
tests.check_read_only(Path(sys.argv[2]), sys.argv[3:])
"""


def read_only_mount(folder: Path) -> list[str]:
    """A command prefix that mounts `folder` read-only; skips if that is not possible."""
    for bwrap in isolation.find_bwraps():
        begin = [bwrap, "--dev-bind", "/", "/", "--ro-bind", str(folder), str(folder)]
        if subprocess.run([*begin, "true"], capture_output=True, check=False).returncode == 0:
            return begin
    pytest.skip("needs a bubblewrap that works")


@pytest.mark.parametrize("saved", [["good"], []])
def test_a_read_only_mount_can_be_read_by_root(tmp_path, saved):
    """Permissions do not restrict root, but the mount does."""
    folder = tmp_path / "results"
    folder.mkdir()
    if saved:
        fill(folder)
    script = ["-W", "error", "-c", IN_A_MOUNT, str(Path(__file__).parents[1]), str(folder), *saved]
    command = [*read_only_mount(folder), sys.executable, *script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def limit(monkeypatch) -> Callable[[int], None]:
    """Limit the number of pages, so that SQLite reports a full disk."""
    connect, pages = sqlite3.connect, [2**30]

    def connect_limited(*args, **options):
        connection = connect(*args, **options)
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_limited)
    return lambda count: pages.__setitem__(0, count)


def test_a_full_disk_does_not_prevent_reading(tmp_path, limit):
    """Not even an empty table can be created."""
    limit(1)
    with MarkStore.open(tmp_path) as marks:
        assert marks.read_only_reason.startswith("The disk is full")
        assert marks.current() == marks.history("ada") == []
        with pytest.raises(ReadOnlyError, match="disk is full"):
            say(marks, "good")


def test_a_disk_that_fills_up_fails_one_save(marks, limit):
    """Nothing of it is saved, and later saves work once there is space."""
    say(marks, "short")
    limit(1)
    with pytest.raises(ReadOnlyError, match="disk is full"):
        say(marks, "x" * 20_000, version=1)
    assert texts(marks) == ["short"]
    limit(2**30)
    assert say(marks, "x" * 20_000, version=1).version == 2
