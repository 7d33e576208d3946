"""The clock is started once, and what is handed in is checked, frozen and never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from conftest import RIGHT, OrdinaryUser, write_tree
from typer.testing import CliRunner

from archprep.cli import interview
from archprep.core.errors import UsageError
from archprep.interview import handin
from archprep.interview import kit as kits
from archprep.interview.handin import begin, submit
from archprep.workspace import submission

MADE_AT = "2026-03-02T09:00:00+00:00"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def zipped(content: Path, home: Path, tmp_path: Path) -> Path:
    """Ada's kit of q1 and q3, as it was sent to her."""
    made = kits.make(kits.questions("q1,q3"), ["Ada L"], 120, tmp_path / "hers", made_at=MADE_AT)
    shutil.rmtree(home)  # the interviewer's
    return made[0].path


@pytest.fixture
def kit(zipped: Path) -> Path:
    """The kit as any tool unzips it."""
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(zipped.parent)
    return zipped.with_suffix("")


class Clock:
    """The candidate's clock, which a test sets."""

    now = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(handin, "_now", lambda: found.now)
    return found


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def reported(path: Path) -> dict[str, object]:
    return json.loads(members(path)["ada-l/archprep-submission.json"])


def refusal(folder: Path) -> str:
    """What `submit` says; nothing is written."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(UsageError) as caught:
        submit(folder)
    assert caught.value.tip
    assert sorted(folder.parent.iterdir()) == before
    return caught.value.message


# ------------------------------------------------------------------ begin


def test_the_clock_is_started_once(kit, clock) -> None:
    """A second begin changes nothing and says when it began."""
    one = begin(kit)
    assert (one.at, one.earlier, one.due) == (NOON, False, NOON + timedelta(minutes=120))
    files = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    clock.now += timedelta(minutes=7)
    two = begin(kit)
    assert (two.at, two.earlier, two.kit.candidate) == (NOON, True, "Ada L")
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == files


def test_a_zip_is_unpacked_beside_and_begun(zipped, clock) -> None:
    """Then, too, a second begin changes nothing, and the zip may be named again."""
    begun = begin(zipped)
    assert begun.folder == zipped.with_suffix("")
    assert sorted(p.name for p in zipped.parent.iterdir()) == ["ada-l", "ada-l.zip"]
    (begun.folder / "q01_event_bus" / "answer.py").write_text(RIGHT)
    clock.now += timedelta(minutes=7)
    again = begin(zipped)
    assert (again.folder, again.at, again.earlier) == (begun.folder, NOON, True)
    assert (begun.folder / "q01_event_bus" / "answer.py").read_text() == RIGHT


def test_a_kit_is_unpacked_over_nothing(zipped) -> None:
    write_tree(zipped.with_suffix(""), {"thesis.tex": "x"})
    with pytest.raises(UsageError, match=r"and is not the kit of ada-l\.zip"):
        begin(zipped)
    assert sorted(p.name for p in zipped.parent.rglob("*")) == ["ada-l", "ada-l.zip", "thesis.tex"]


@pytest.mark.parametrize("content_", [b"no zip", None], ids=["no zip", "another zip"])
def test_what_is_no_kit_cannot_begin(zipped, content_) -> None:
    zipped.write_bytes(content_ or kits.zipped({"a/b.py": b""}))
    with pytest.raises(UsageError, match=r"no zip archive|is no kit") as caught:
        begin(zipped)
    assert caught.value.tip
    assert [p.name for p in zipped.parent.iterdir()] == ["ada-l.zip"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"begun_at": 7}', '{"begun_at": "noon"}', "\xff"]
)
def test_a_damaged_clock_counts_as_none(kit, clock, text) -> None:
    (kit / handin.CLOCK).write_bytes(text.encode("latin-1"))
    assert submit(kit).begun_at is None
    assert not begin(kit).earlier
    assert begin(kit).earlier


@pytest.mark.parametrize("where", [".", "q01_event_bus", ".."])
def test_the_kit_is_found_from_where_one_stands(kit, where) -> None:
    """In it, in an exercise's folder, or in the folder that holds it alone."""
    assert handin.locate(kit / where) == kit


@pytest.mark.parametrize(
    ("path", "says"),
    [("nowhere", "does not exist"), ("hers/ada-l.zip", "no folder"), ("", "no kit")],
)
def test_a_path_that_is_no_kit_is_told(zipped, tmp_path, path, says) -> None:
    """Also one that does not exist in a folder that is one."""
    with pytest.raises(UsageError, match=says) as caught:
        submit(tmp_path / path)
    assert caught.value.tip


def test_a_missing_folder_is_not_taken_for_the_kit_around_it(kit) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        begin(kit / "other.zip")


# ------------------------------------------------------------------ submit


def test_the_zip_holds_what_counts_and_what_is_reported(kit, clock) -> None:
    """The frozen files, the manifest as it came, times and digests; nothing else."""
    begin(kit)
    write_tree(kit, {"q01_event_bus/answer.py": RIGHT, "q01_event_bus/more/extra.py": "x = 1\n"})
    write_tree(kit, {"notes.txt": "", "q01_event_bus/data.csv": "", ".venv/x.py": "("})
    os.utime(kit / "q01_event_bus" / "answer.py", (0, 1_772_454_000))
    clock.now += timedelta(minutes=42)
    handed_in = submit(kit)
    assert handed_in.path == kit.parent / "ada-l-submission.zip"
    assert (handed_in.used, handed_in.late) == (timedelta(minutes=42), timedelta())
    files = members(handed_in.path)
    assert sorted(files) == [
        "ada-l/archprep-kit.json",
        "ada-l/archprep-submission.json",
        "ada-l/q01_event_bus/DISCUSSION.md",
        "ada-l/q01_event_bus/answer.py",
        "ada-l/q01_event_bus/more/extra.py",
        "ada-l/q01_event_bus/test_examples.py",
        "ada-l/q03_rate_limiting/DISCUSSION.md",
        "ada-l/q03_rate_limiting/answer.py",
        "ada-l/q03_rate_limiting/test_examples.py",
    ]
    assert files["ada-l/archprep-kit.json"] == (kit / "archprep-kit.json").read_bytes()
    said = reported(handed_in.path)
    assert (said["format"], said["begun_at"]) == (1, "2026-03-02T12:00:00+00:00")
    assert said["submitted_at"] == "2026-03-02T12:42:00+00:00"
    assert said["files"] == {
        name.removeprefix("ada-l/"): hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name.count("/") > 1
    }
    assert set(said["edited"]) == set(said["files"])  # type: ignore[call-overload]
    assert said["edited"]["q01_event_bus/answer.py"] == "2026-03-02T12:20:00+00:00"  # type: ignore[index]


def test_an_earlier_submission_is_never_overwritten(kit) -> None:
    names = [submit(kit).path.name for _ in range(3)]
    assert names == ["ada-l-submission.zip", "ada-l-submission-2.zip", "ada-l-submission-3.zip"]
    (kit.parent / "ada-l-submission-4.zip").symlink_to("nowhere")
    assert submit(kit).path.name == "ada-l-submission-5.zip"


def test_late_is_told_and_never_refused(kit, clock) -> None:
    begin(kit)
    clock.now += timedelta(minutes=132)
    assert submit(kit).late == timedelta(minutes=12)
    clock.now = NOON - timedelta(hours=1)  # set back
    assert (submit(kit).used, submit(kit).late) == (timedelta(hours=-1), timedelta())


def test_renamed_and_moved_folders_still_work(kit, tmp_path) -> None:
    """The zip has the names of the kit, wherever it lay."""
    moved = kit.rename(tmp_path / "my interview!")
    (moved / "q01_event_bus").rename(moved / "first")
    handed_in = submit(moved)
    assert handed_in.path == tmp_path / "ada-l-submission.zip"
    assert "ada-l/q01_event_bus/answer.py" in members(handed_in.path)


def test_the_number_of_a_namesake_is_kept(kit) -> None:
    """Of two Ada Ls in a class, each hands in under the name of her own kit."""
    handed_in = submit(kit.rename(kit.with_name("ada-l-2")))
    assert handed_in.path.name == "ada-l-2-submission.zip"


def test_a_changed_manifest_is_the_graders_to_notice(kit) -> None:
    """There is no key here: it is handed in as it stands."""
    path = kit / "archprep-kit.json"
    path.write_text(path.read_text().replace('"minutes": 120', '"minutes": 900'))
    assert b'"minutes": 900' in members(submit(kit).path)["ada-l/archprep-kit.json"]


def test_a_manifest_that_cannot_be_read_is_told(kit) -> None:
    (kit / "archprep-kit.json").write_text("{}")
    assert "not the manifest of a kit" in refusal(kit)


# ------------------------------------------------------------------ what is refused


def test_everything_that_is_wrong_is_told_at_once(kit) -> None:
    (kit / "q01_event_bus" / "answer.py").rename(kit / "q01_event_bus" / "mine.py")
    (kit / "q03_rate_limiting" / "big.py").write_bytes(b"#" * (submission.MAX_FILE_BYTES + 1))
    told = refusal(kit).splitlines()
    assert told[1].startswith("  q1: answer.py is missing from ")
    assert told[2].startswith("  q3: ")
    assert "larger than 256 KiB" in told[2]


def test_a_link_is_refused(kit) -> None:
    (kit / "q01_event_bus" / "more.py").symlink_to("/etc/passwd")
    assert "q1: " in refusal(kit)


def test_a_missing_exercise_is_told(kit) -> None:
    shutil.rmtree(kit / "q03_rate_limiting")
    assert "q3: its folder q03_rate_limiting is missing" in refusal(kit)


def test_an_exercise_that_is_not_here_is_told(kit, content) -> None:
    """An older archprep than the interviewer's: the tip is to make the zip by hand."""
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    assert "no exercise 'q3'" in refusal(kit)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"def add(a, b:\n    return a\n", "answer.py:1: "),
        (b"x = 1\n\ty = 2\n", "answer.py:2: unexpected indent"),
        (b"# -*- coding: klingon -*-\n", "answer.py: "),
        (b"x = '\xff'\n", "answer.py"),
        (b"x = 1\0\n", "null bytes"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "answer.py"),
        (b"x = " + b"-" * 100_000 + b"1", "answer.py"),
        (b"x = " + b"9" * 9000, "answer.py"),
    ],
    ids=["syntax", "indent", "coding", "latin-1", "nul", "nested", "deep", "digits"],
)
def test_what_python_cannot_read_is_told_with_its_line(kit, data, says) -> None:
    """Unless it is to be handed in anyway: then it is, byte for byte."""
    (kit / "q01_event_bus" / "answer.py").write_bytes(data)
    told = refusal(kit)
    assert told.startswith("Python cannot read")
    assert f"  q01_event_bus/{says}" in told or says in told
    handed_in = submit(kit, anyway=True)
    assert members(handed_in.path)["ada-l/q01_event_bus/answer.py"] == data
    assert len(handed_in.parts[0].broken) == 1


@pytest.mark.parametrize(
    "data", [b"", b"# only this\n", b"\xef\xbb\xbfx = 1\r\n", b"# coding: latin-1\nx = '\xe9'\n"]
)
def test_what_python_can_read_is_taken(kit, data) -> None:
    """Also with what it only warns about."""
    (kit / "q01_event_bus" / "answer.py").write_bytes(data + b'y = "\\d"\n')
    assert submit(kit).parts[0].broken == ()


def test_notes_are_no_refusals(kit, content) -> None:
    """A starter nobody has touched, an exercise of another version."""
    (kit / "q01_event_bus" / "answer.py").write_text(RIGHT)
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1", "version: 2"))
    one, two = (part.notes for part in submit(kit).parts)
    assert [note.split(".")[0] for note in one] == [
        "q1 is version 1 in the kit and 2 in this archprep"
    ]
    assert two == ("q3: answer.py as handed out, nothing is written yet.",)


def test_a_full_disk_leaves_nothing(kit, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refusal(kit)


def test_a_folder_that_cannot_be_written_is_told(kit, user: OrdinaryUser, monkeypatch) -> None:
    """To begin, to hand in."""
    shutil.copytree(kit, user.folder / "in" / "ada-l")
    shutil.copytree(os.environ["ARCHPREP_CONTENT"], user.folder / "content")
    monkeypatch.setenv("ARCHPREP_CONTENT", str(user.folder / "content"))
    monkeypatch.setenv("ARCHPREP_HOME", str(user.folder / "home"))
    user.become()
    (user.folder / "in" / "ada-l").chmod(0o500)
    (user.folder / "in").chmod(0o500)
    for command in (begin, submit):
        with pytest.raises(UsageError, match="cannot be used: Permission denied"):
            command(user.folder / "in" / "ada-l")


def test_what_is_handed_in_is_what_the_grader_receives(kit, tmp_path) -> None:
    """Times and digests as reported, and no flag but that there is no key."""
    received = pytest.importorskip("archprep.interview.received")
    begin(kit)
    path = submit(kit).path
    (tmp_path / "inbox").mkdir()
    shutil.copy(path, tmp_path / "inbox")
    [one] = received.scan(tmp_path / "inbox", tmp_path / "work")
    assert (one.name, one.problem, len(one.parts)) == ("Ada L", None, 2)
    assert one.reported["files"] == reported(path)["files"]


# ------------------------------------------------------------------ the commands


def archprep(*args: str) -> str:
    """The command's outputs; a UsageError passes, as it does through `cli.main`."""
    app = typer.Typer()
    interview.register(app)
    return CliRunner().invoke(app, args, catch_exceptions=False).output


def test_begin_and_submit_where_one_stands(kit, clock, monkeypatch) -> None:
    monkeypatch.chdir(kit / "q01_event_bus")
    first = archprep("begin")
    assert "Kit for Ada L: 120 minutes" in first
    assert "It begins now" in first
    assert "nothing was changed" in archprep("begin")
    clock.now += timedelta(minutes=132)
    told = archprep("submit")
    assert told.startswith(f"{kit.parent}/ada-l-submission.zip\n")
    assert "answer.py" in told
    assert "Time used: 132 of 120 min" in told
    assert "Late by 12 min: recorded, never refused" in told
    assert "q3: answer.py as handed out" in told


def test_submit_says_that_nobody_began_and_what_is_broken(kit) -> None:
    (kit / "q01_event_bus" / "answer.py").write_text("def")
    told = archprep("submit", str(kit), "--anyway")
    assert "since `archprep begin` was not run" in told
    assert "No valid Python: q01_event_bus/answer.py:1" in told
