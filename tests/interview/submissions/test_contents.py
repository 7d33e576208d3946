"""A kit or a workspace is recognized, whatever its manifest and markers say."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import zipfile

import pytest
from conftest import write_tree
from interview.submissions.inbox import (
    NOW,
    altered,
    kit,
    only,
    raw,
    report,
    scanned,
    started,
    zipped,
)

from archprep.content import catalog, exercise_files
from archprep.core.errors import UsageError
from archprep.interview.kits import begin as kit_begin
from archprep.interview.kits import manifest, signing_key
from archprep.interview.kits import submit as kit_submit
from archprep.interview.model import KitExercise
from archprep.interview.submissions.contents import FORGED, NOT_CHECKED
from archprep.workspace import submission
from archprep.workspace.folder import start_workspace


def test_a_zipped_kit_is_recognized(inbox, tmp_path) -> None:
    """Name, exercises and receipt are known, the exercises can be frozen, nothing is flagged."""
    path = zipped(kit(tmp_path), inbox / "x.zip")
    one = only(inbox)
    assert (one.name, one.slug, one.source, one.problem) == ("Alice Ng", "alice-ng", "x.zip", None)
    assert one.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert one.received_at == NOW.isoformat()
    assert one.flags == ()
    assert one.kit
    assert [part.exercise for part in one.exercises] == ["q1", "q3"]
    for part in one.exercises:
        stage = tmp_path / part.exercise
        names = [f.path for f in submission.freeze(part.directory, catalog.get("q1"), stage).files]
        assert names == ["DISCUSSION.md", "answer.py", "test_examples.py"]


def test_a_kit_in_a_folder_is_read_in_place(inbox, tmp_path) -> None:
    """Nothing is copied."""
    shutil.copytree(kit(tmp_path), inbox / "handed in")
    one = only(inbox)
    assert (one.name, one.source, one.problem) == ("Alice Ng", "handed in", None)
    assert one.exercises[0].directory == inbox / "handed in" / "q01_event_bus"
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("covers", ["mail", "Downloads/kit", "a/b/c"])
def test_a_kit_some_levels_down_is_recognized(inbox, tmp_path, covers) -> None:
    """As mail programs unpack it, or as a zip of a whole path contains it; it is as complete."""
    folder = kit(tmp_path)
    report(folder, files={"q01_event_bus/answer.py": "0" * 64})
    shutil.copytree(folder, inbox / covers / "alice-ng")
    (inbox / covers / "letter.txt").write_text("Hello")
    one = only(inbox)
    assert one.exercises[1].directory == inbox / covers / "alice-ng" / "q03_rate_limiting"
    assert one.flags == ("changed after `archprep submit`: q01_event_bus/answer.py",)


def test_a_kit_below_many_folders_is_not_searched_for(inbox, tmp_path) -> None:
    """The search is bounded."""
    shutil.copytree(kit(tmp_path), inbox / "a/b/c/d/e/f")
    started("q1", inbox / "bob")
    assert [bool(one.problem) for one in scanned(inbox)] == [True, False]


def test_a_zip_with_backslashes_is_read(inbox, tmp_path) -> None:
    """As some tools on Windows write it; its separators are folders, within the same rules."""
    path = zipped(kit(tmp_path), inbox / "slashes.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(inbox / "x.zip", "w") as made:
        for info in source.infolist():
            made.writestr(info.filename.replace("/", "\\"), source.read(info))
    path.unlink()
    one = only(inbox)
    assert (one.name, one.problem, one.flags) == ("Alice Ng", None, ())
    assert (one.exercises[0].directory / "answer.py").is_file()


def test_what_was_not_worked_on_is_flagged(inbox, tmp_path) -> None:
    """An untouched kit or starter says so, by exercise; an added module does not hide it."""
    folder = kit(tmp_path)
    exercise = catalog.get("q3")
    path = exercise_files.starter_files(exercise)["answer.py"]
    shutil.copy(path, folder / "q03_rate_limiting" / "answer.py")
    (folder / "q03_rate_limiting" / "more.py").write_text("x = 1\n")
    zipped(folder, inbox / "kit.zip")
    start_workspace(exercise, inbox / "bob")
    bob, alice = scanned(inbox)
    assert alice.flags == bob.flags == ("q3: answer.py is unchanged from the starter",)


def test_the_zip_made_by_submit_is_recognized(inbox, tmp_path) -> None:
    """Its times and digests are kept as reported."""
    folder = kit(tmp_path)
    kit_begin.begin(folder)
    made = kit_submit.submit(folder).path
    shutil.copy(made, inbox)
    one = only(inbox)
    assert (one.name, one.problem, one.flags) == ("Alice Ng", None, ())
    assert set(one.reported) == {"begun_at", "submitted_at", "files", "edited"}
    assert "q01_event_bus/answer.py" in one.reported["files"]
    assert one.reported["edited"].keys() == one.reported["files"].keys()


def test_files_left_by_tools_are_ignored(inbox, tmp_path) -> None:
    """Environments, repositories and caches, and the links in them."""
    folder = kit(tmp_path)
    write_tree(folder, {".git/config": "", "q01_event_bus/__pycache__/a.pyc": "", "big.bin": "x"})
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    zipped(folder, inbox / "a.zip")
    shutil.copytree(folder, inbox / "b", symlinks=True)
    assert [one.problem for one in scanned(inbox)] == [None, None]
    unpacked = {p.name for p in (tmp_path / "work").rglob("*")}
    assert not unpacked & {".git", ".venv", "__pycache__", "big.bin", "README.md"}


@pytest.mark.parametrize("inner", ["", "mine"])
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_workspace_is_recognized_by_its_marker(inbox, tmp_path, inner, form) -> None:
    """At the top or one level down; the candidate is named after the entry."""
    folder = tmp_path / "desk" / "bob.jones"
    started("q3", folder / inner)
    if form == "folder":
        shutil.copytree(folder, inbox / "bob.jones")
    else:
        with zipfile.ZipFile(inbox / "bob.jones.zip", "w") as made:
            for path in folder.rglob("*"):
                made.write(path, path.relative_to(folder))
    one = only(inbox)
    assert (one.name, one.slug, one.kit, one.flags) == ("bob.jones", "bob-jones", None, ())
    assert [part.exercise for part in one.exercises] == ["q3"]
    assert (one.exercises[0].directory / "answer.py").is_file()


def test_a_workspace_is_recognized_by_its_files(inbox, content) -> None:
    """If they are those of exactly one exercise."""
    path = content / "exercises" / "q03_rate_limiting"
    (path / "exercise.yaml").write_text(
        (path / "exercise.yaml").read_text().replace("answer.py", "limit.py")
    )
    (path / "starter" / "answer.py").rename(path / "starter" / "limit.py")
    raw(inbox / "bob.zip", **{"limit.py": "x = 1\n", ".hidden": "", "__MACOSX/x.py": ""})
    assert [part.exercise for part in only(inbox).exercises] == ["q3"]


def test_without_the_key_the_name_is_used_and_flagged(inbox, tmp_path, home) -> None:
    """Scanning does not create a key."""
    zipped(kit(tmp_path, "Alice"), inbox / "x.zip")
    (home / signing_key.FILE_NAME).unlink()
    one = only(inbox)
    assert (one.name, one.flags) == ("Alice", (NOT_CHECKED,))
    assert not (home / signing_key.FILE_NAME).exists()


def test_a_kit_signed_with_another_key_is_flagged(inbox, tmp_path, home) -> None:
    """Its name is not used."""
    zipped(kit(tmp_path, "Alice"), inbox / "x.zip")
    (home / signing_key.FILE_NAME).unlink()
    signing_key.load_or_create()
    one = only(inbox)
    assert (one.name, one.flags) == ("x", (FORGED,))


@pytest.mark.parametrize("signature", [None, 1, "", "\ud800", "z" * 64, ["x"], "0" * 64])
def test_an_invalid_signature_is_flagged(inbox, tmp_path, signature) -> None:
    """Whatever type it has."""
    folder = kit(tmp_path)
    data = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(json.dumps({**data, "signature": signature}))
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (FORGED,)


def test_other_versions_and_unknown_exercises_are_flagged(inbox, tmp_path, content) -> None:
    """Known exercises are graded."""
    zipped(kit(tmp_path), inbox / "x.zip")
    path = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 2"))
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    one = only(inbox)
    assert one.flags == (
        "q1 was handed out as version 1 and is graded as version 2",
        "not graded: q3, which this archprep does not have",
    )
    assert [part.exercise for part in one.exercises] == ["q1"]


def test_a_workspace_of_another_version_is_flagged(inbox, content) -> None:
    """One of an unknown exercise is refused."""
    for name in ("q1", "q3"):
        started(name, inbox / name)
    path = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 2"))
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    first, third = scanned(inbox)
    assert first.flags == ("q1 was handed out as version 1 and is graded as version 2",)
    assert third.problem
    assert third.problem.startswith("q3 is a workspace of q3, which this archprep")


def test_a_missing_exercise_still_counts(inbox, tmp_path, exercise) -> None:
    """It is flagged and cannot be frozen: leaving it out does not raise the share of points."""
    folder = kit(tmp_path)
    shutil.rmtree(folder / "q01_event_bus")
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert one.flags == ("q1 is missing: the submission has no folder q01_event_bus",)
    assert [part.exercise for part in one.exercises] == ["q1", "q3"]
    with pytest.raises(UsageError, match=r"answer\.py is missing from"):
        submission.freeze(one.exercises[0].directory, exercise, tmp_path / "stage")


def test_a_renamed_exercise_is_found_by_its_marker(inbox, tmp_path) -> None:
    """Nothing is flagged."""
    folder = kit(tmp_path)
    (folder / "q01_event_bus").rename(folder / "my bus")
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert (one.flags, one.exercises[0].directory.name) == ((), "my bus")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kit": []}',
        '{"kit": {"format": 1, "candidate": []}}',
        "[" * 60_000,
        '{"kit":' * 9000,
        "\x00\xff",
        "x" * 70_000,
        '{"kit": {"format": ' + "9" * 5000 + "}}",
    ],
)
def test_an_invalid_manifest_is_one_problem(inbox, tmp_path, text) -> None:
    """Then nobody knows what was asked for."""
    folder = kit(tmp_path)
    (folder / manifest.NAME).write_text(text)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert one.problem
    assert manifest.NAME in one.problem
    assert (one.name, one.exercises) == ("x", ())


def test_a_kit_of_a_newer_format_is_refused(inbox, tmp_path) -> None:
    """The message says so."""
    folder = kit(tmp_path)
    altered(folder, format=2)
    zipped(folder, inbox / "x.zip")
    assert "made by a newer archprep" in str(only(inbox).problem)


@pytest.mark.parametrize("folder", ["../q1", "/etc", "q01_event_bus/..", "a/b", "..", ".", ""])
def test_a_manifest_cannot_name_another_folder(inbox, tmp_path, folder) -> None:
    """Also where the signature cannot be checked."""
    data = kit(tmp_path)
    one = dataclasses.asdict(KitExercise("q1", folder, 1, "0" * 64))
    altered(data, exercises=[one])
    zipped(data, inbox / "x.zip")
    got = only(inbox)
    assert got.problem
    assert got.exercises == ()


def test_several_kits_or_workspaces_in_one_entry_are_refused(inbox, tmp_path) -> None:
    """Nobody can say which one counts."""
    for name in ("one", "two"):
        shutil.copytree(kit(tmp_path), inbox / "kits" / name)
        started("q1", inbox / "works" / name)
    kits, works = scanned(inbox)
    assert str(kits.problem).startswith("kits contains 2 kits.")
    assert str(works.problem).startswith("works contains 2 workspaces but no archprep-kit.json.")
