"""A broken or hostile entry is one row with its problem."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from datetime import UTC, datetime

import pytest
from conftest import OrdinaryUser, write_tree
from interview.submissions.inbox import MADE, kit, only, raw, scanned, started, zipped

from archprep.core.errors import UsageError
from archprep.interview.kits import manifest, signing_key
from archprep.interview.model import REPORT_FILE, Kit, KitExercise
from archprep.interview.submissions.scan import scan
from archprep.workspace import submission
from archprep.workspace.folder import MARKER


@pytest.mark.parametrize("seconds", [4e9, 9e11, -1e9])
def test_an_impossible_time_of_receipt_is_handled(inbox, tmp_path, seconds) -> None:
    """A future one is flagged and counts as now; an early one is used."""
    path = zipped(kit(tmp_path), inbox / "x.zip")
    os.utime(path, (seconds, seconds))
    one = only(inbox)
    assert datetime.fromisoformat(one.received_at) <= datetime.now(UTC)
    assert any("is in the future" in flag for flag in one.flags) == (seconds > 0)


HOSTILE = "\x1b[2J\x1b]0;x\x07[bold]A\u202eb\u200b\r\n<script>\ud800"


def test_all_text_is_sanitized(inbox, tmp_path, home) -> None:
    """Names of files and candidates, reported values, problems and flags."""
    key = signing_key.load_or_create()
    assert key
    exercise = KitExercise("q1", "q01_event_bus", 1, "0" * 64)
    hostile = Kit(HOSTILE, 120, MADE.isoformat(), HOSTILE, (exercise,))
    (home / signing_key.FILE_NAME).unlink()
    files = json.dumps({"files": {HOSTILE: HOSTILE}, "edited": {HOSTILE: HOSTILE}})
    source = "na\x1b[31mme\n\u202e<b>.zip"
    raw(
        inbox / source,
        **{manifest.NAME: manifest.dumps(hostile, key), REPORT_FILE: files},
        **{"q01_event_bus/answer.py": ""},
    )
    if sys.platform == "linux":  # elsewhere a name must be UTF-8
        (inbox / os.fsdecode(b"bad\xff\x1b[2J.zip")).write_bytes(b"PK")
    for one in scanned(inbox):
        texts = [one.name, one.source, one.problem or "", *one.flags]
        for mapping in (one.reported.get("files", {}), one.reported.get("edited", {})):
            texts += [*mapping, *mapping.values()]
        assert all(text.isprintable() for text in texts), texts
        assert "\x1b" not in repr(one).replace("\\x1b", "\x1b").replace(str(tmp_path), "")
        assert set(one.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert one.slug


def test_a_broken_entry_never_ends_the_scan(inbox, tmp_path) -> None:
    """Each is one entry with its problem, next to sound ones."""
    zipped(kit(tmp_path), inbox / "alice.zip")
    (inbox / "text.zip").write_text("no zip")
    (inbox / "cut.zip").write_bytes((inbox / "alice.zip").read_bytes()[:-30])
    (inbox / "old.tar.gz").write_bytes(b"\x1f\x8b" + b"x" * 100)
    (inbox / "notes.txt").write_text("remember")
    (inbox / "link.zip").symlink_to("alice.zip")
    (inbox / "away").symlink_to("/etc")
    os.mkfifo(inbox / "pipe.zip")
    (inbox / "empty").mkdir()
    raw(inbox / "nothing.zip")
    raw(inbox / "other.zip", **{"thesis.txt": "x"})
    raw(inbox / "evil.zip", **{"../x.py": "x"})
    raw(inbox / "nested.zip", **{"alice.zip": (inbox / "alice.zip").read_bytes()})
    (inbox / ".hidden.zip").write_text("x")
    (inbox / "__MACOSX").mkdir()
    rows = {one.source: one for one in scanned(inbox)}
    problems = {name: one.problem for name, one in rows.items() if one.problem}
    neither = "contains neither archprep-kit.json nor the workspace of one exercise."
    expected = {
        "text.zip": "text.zip is not a zip archive.",
        "cut.zip": "cut.zip is damaged",
        "old.tar.gz": "old.tar.gz is not a zip archive: it looks like tar.",
        "notes.txt": "notes.txt is not a zip archive.",
        "link.zip": "link.zip is a link.",
        "away": "away is a link.",
        "pipe.zip": "pipe.zip is neither a file nor a folder.",
        "empty": f"empty {neither}",
        "nothing.zip": f"nothing.zip {neither}",
        "other.zip": f"other.zip {neither}",
        "evil.zip": "evil.zip was refused: ../x.py points outside its folder.",
        "nested.zip": f"nested.zip {neither}",
    }
    assert problems.keys() == expected.keys()
    assert all(problems[name].startswith(text) for name, text in expected.items()), problems
    assert [name for name, one in rows.items() if not one.problem] == ["alice.zip"]
    assert not any(one.exercises for one in rows.values() if one.problem)
    assert len({one.slug for one in rows.values()}) == len(rows)


def test_links_are_not_followed(inbox, tmp_path) -> None:
    """Attack 56: a kit, exercise, manifest or marker that is a link is refused or ignored."""
    real = kit(tmp_path)
    shutil.copytree(real, inbox / "a")
    shutil.rmtree(inbox / "a" / "q01_event_bus")
    (inbox / "a" / "q01_event_bus").symlink_to(real / "q01_event_bus")
    shutil.copytree(real, inbox / "b")
    (inbox / "b" / manifest.NAME).unlink()
    (inbox / "b" / manifest.NAME).symlink_to(real / manifest.NAME)
    (inbox / "c").mkdir()
    (inbox / "c" / "kit").symlink_to(real)
    (inbox / "d").mkdir()
    (inbox / "d" / MARKER).symlink_to(real / "q01_event_bus" / MARKER)
    problems = [one.problem for one in scanned(inbox)]
    assert problems[0].startswith("q01_event_bus is a link.")
    assert problems[1].startswith("b cannot be read:")
    assert problems[2].startswith("c contains neither")
    assert problems[3].startswith("d contains neither")


def test_a_link_inside_a_workspace_is_left_to_freezing(inbox, tmp_path, exercise) -> None:
    """Which refuses one to code, for this submission alone."""
    folder = started("q1", inbox / "alice")
    (folder / "helper.py").symlink_to("/etc/passwd")
    one = only(inbox)
    assert one.problem is None
    with pytest.raises(UsageError, match=r"helper\.py is a link"):
        submission.freeze(one.exercises[0].directory, exercise, tmp_path / "stage")


@pytest.mark.parametrize("what", [manifest.NAME, REPORT_FILE, MARKER])
def test_pipes_are_not_waited_for(inbox, tmp_path, what) -> None:
    """Reading a pipe must not block."""
    folder = kit(tmp_path)
    shutil.copytree(folder, inbox / "a")
    (inbox / "a" / what).unlink(missing_ok=True)
    os.mkfifo(inbox / "a" / what)
    one = only(inbox)
    assert bool(one.problem) == (what == manifest.NAME)


def test_an_unreadable_entry_is_one_problem(theirs, user: OrdinaryUser, monkeypatch) -> None:
    """The others are read."""
    monkeypatch.setenv("ARCHPREP_HOME", str(user.folder / "home"))
    inbox = user.folder / "inbox"
    started("q1", inbox / "good")
    started("q1", inbox / "shut")
    (inbox / "shut.zip").write_bytes(b"PK")
    user.become()
    (inbox / "shut").chmod(0)
    (inbox / "shut.zip").chmod(0)
    good, *shut = scan(inbox, user.folder / "work")
    assert good.problem is None
    assert [one.problem.endswith("Permission denied.") for one in shut] == [True, True]


def test_a_source_of_50_mb_is_refused(inbox, tmp_path, exercise) -> None:
    """Attack 61: in a zip before it is extracted, in a folder when it is frozen."""
    text = b"x = 1\n" * (50 * 2**20 // 6)
    folder = started("q1", inbox / "folder")
    (folder / "answer.py").write_bytes(text)
    with zipfile.ZipFile(inbox / "zip.zip", "w") as made:  # not even a bomb
        made.writestr("answer.py", text)
    in_folder, in_zip = scanned(inbox)
    assert str(in_zip.problem).startswith("zip.zip contains more than 32 MiB once unpacked.")
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        submission.freeze(in_folder.exercises[0].directory, exercise, tmp_path / "stage")


def test_nothing_in_a_submission_is_executed(inbox, tmp_path) -> None:
    """Attack 62: build files and start-up hooks are data; what is not code is not extracted."""
    folder = kit(tmp_path)
    payload = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    hooks = ["setup.py", "conftest.py", "sitecustomize.py", "json.py", "requirements.txt"]
    for place in ("", "q01_event_bus/"):
        write_tree(folder, {f"{place}{name}": payload for name in hooks})
        write_tree(folder, {f"{place}pyproject.toml": "[build-system]\n", f"{place}x.pth": payload})
    zipped(folder, inbox / "x.zip")
    shutil.copytree(folder, inbox / "y")
    assert [one.problem for one in scanned(inbox)] == [None, None]
    assert not (tmp_path / "ran").exists()
    names = {path.name for path in (tmp_path / "work").rglob("*")}
    assert not names & {"requirements.txt", "pyproject.toml", "x.pth"}
