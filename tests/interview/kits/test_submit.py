"""What is submitted is checked, frozen and never overwritten."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import timedelta

import pytest
from conftest import RIGHT, OrdinaryUser, write_tree
from interview.kits.conftest import NOON
from interview.kits.submission_samples import reported, submit_refusal, zip_members

from archprep.core.errors import UsageError
from archprep.interview.kits.begin import begin
from archprep.interview.kits.submit import submit
from archprep.interview.submissions.scan import scan
from archprep.workspace import submission


def test_the_zip_contains_frozen_files_manifest_and_report(kit, clock) -> None:
    """And nothing else: no notes, data or hidden files."""
    begin(kit)
    write_tree(kit, {"q01_event_bus/answer.py": RIGHT, "q01_event_bus/more/extra.py": "x = 1\n"})
    write_tree(kit, {"notes.txt": "", "q01_event_bus/data.csv": "", ".venv/x.py": "("})
    os.utime(kit / "q01_event_bus" / "answer.py", (0, 1_772_454_000))
    clock.now += timedelta(minutes=42)
    handed_in = submit(kit)
    assert handed_in.path == kit.parent / "ada-l-submission.zip"
    assert (handed_in.used, handed_in.late) == (timedelta(minutes=42), timedelta())
    files = zip_members(handed_in.path)
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
    """Each new one gets the next number."""
    names = [submit(kit).path.name for _ in range(3)]
    assert names == ["ada-l-submission.zip", "ada-l-submission-2.zip", "ada-l-submission-3.zip"]
    (kit.parent / "ada-l-submission-4.zip").symlink_to("nowhere")
    assert submit(kit).path.name == "ada-l-submission-5.zip"


def test_a_late_submission_is_recorded_and_never_refused(kit, clock) -> None:
    """A clock that was set back gives negative time, not lateness."""
    begin(kit)
    clock.now += timedelta(minutes=132)
    assert submit(kit).late == timedelta(minutes=12)
    clock.now = NOON - timedelta(hours=1)  # set back
    assert (submit(kit).used, submit(kit).late) == (timedelta(hours=-1), timedelta())


def test_renamed_and_moved_folders_still_work(kit, tmp_path) -> None:
    """The zip uses the kit's own names."""
    moved = kit.rename(tmp_path / "my interview!")
    (moved / "q01_event_bus").rename(moved / "first")
    handed_in = submit(moved)
    assert handed_in.path == tmp_path / "ada-l-submission.zip"
    assert "ada-l/q01_event_bus/answer.py" in zip_members(handed_in.path)


def test_the_number_of_a_namesake_is_kept(kit) -> None:
    """Of two candidates named Ada L, each submits under the name of their own kit."""
    handed_in = submit(kit.rename(kit.with_name("ada-l-2")))
    assert handed_in.path.name == "ada-l-2-submission.zip"


def test_a_changed_manifest_is_submitted_as_it_is(kit) -> None:
    """There is no key here to check it: the grader notices."""
    path = kit / "archprep-kit.json"
    path.write_text(path.read_text().replace('"minutes": 120', '"minutes": 900'))
    assert b'"minutes": 900' in zip_members(submit(kit).path)["ada-l/archprep-kit.json"]


def test_an_invalid_manifest_is_refused(kit) -> None:
    """The message says what is wrong with it."""
    (kit / "archprep-kit.json").write_text("{}")
    assert "not the manifest of a kit" in submit_refusal(kit)


def test_all_problems_are_reported_at_once(kit) -> None:
    """One line per exercise."""
    (kit / "q01_event_bus" / "answer.py").rename(kit / "q01_event_bus" / "mine.py")
    (kit / "q03_rate_limiting" / "big.py").write_bytes(b"#" * (submission.MAX_FILE_BYTES + 1))
    lines = submit_refusal(kit).splitlines()
    assert lines[1].startswith("  q1: answer.py is missing from ")
    assert lines[2].startswith("  q3: ")
    assert "larger than 256 KiB" in lines[2]


def test_a_link_is_refused(kit) -> None:
    """It could lead to any file of the machine."""
    (kit / "q01_event_bus" / "more.py").symlink_to("/etc/passwd")
    assert "q1: " in submit_refusal(kit)


def test_a_missing_exercise_is_refused(kit) -> None:
    """The message names its folder."""
    shutil.rmtree(kit / "q03_rate_limiting")
    assert "q3: its folder q03_rate_limiting is missing" in submit_refusal(kit)


def test_an_unknown_exercise_is_refused(kit, content) -> None:
    """An archprep older than the interviewer's does not have it."""
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    assert "no exercise 'q3'" in submit_refusal(kit)


def test_notes_do_not_prevent_a_submission(kit, content) -> None:
    """About an unchanged starter, or an exercise of another version."""
    (kit / "q01_event_bus" / "answer.py").write_text(RIGHT)
    manifest = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1", "version: 2"))
    one, two = (part.notes for part in submit(kit).exercises)
    assert [note.split(".")[0] for note in one] == [
        "q1 is version 1 in the kit and 2 in this archprep"
    ]
    assert two == ("q3: answer.py is unchanged from the starter.",)


def test_a_full_disk_leaves_nothing_behind(kit, monkeypatch) -> None:
    """The error is a sentence."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in submit_refusal(kit)


def test_an_unwritable_folder_is_refused(kit, user: OrdinaryUser, monkeypatch) -> None:
    """By begin and by submit."""
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


def test_the_grader_receives_what_was_submitted(kit, tmp_path) -> None:
    """With the digests as reported."""
    begin(kit)
    path = submit(kit).path
    (tmp_path / "inbox").mkdir()
    shutil.copy(path, tmp_path / "inbox")
    [one] = scan(tmp_path / "inbox", tmp_path / "work")
    assert (one.name, one.problem, len(one.exercises)) == ("Ada L", None, 2)
    assert one.reported["files"] == reported(path)["files"]
