"""A workspace is made whole, resumed untouched, and never lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from conftest import OrdinaryUser, write_tree

from archprep.content import catalog
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise
from archprep.workspace.folder import (
    Workspace,
    find_workspace,
    looks_like_workspace,
    reset_workspace,
    start_workspace,
)

NEW = [".archprep.json", "DISCUSSION.md", "README.md", "answer.py", "test_examples.py"]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every name in `folder`, with the bytes of files."""
    paths = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}


@pytest.fixture
def work(tmp_path: Path, exercise: Exercise) -> Path:
    """A started workspace, alone in its parent folder."""
    return start_workspace(exercise, tmp_path / "candidate" / "q01_event_bus").path


# ------------------------------------------------------------------ start


def test_a_start_makes_everything_the_candidate_needs(tmp_path: Path, exercise: Exercise) -> None:
    """The rendered brief, the prompts, the starter's files and the marker; parents are made."""
    target = tmp_path / "some" / "where"
    made = start_workspace(exercise, target)
    assert made == Workspace(target, "q1", resumed=False)
    assert sorted(snapshot(target)) == NEW
    assert (target / "README.md").read_text() == "# Event bus\n\nWork in where.\n"
    assert (target / "DISCUSSION.md").read_text() == "Why this way?\n"
    assert "NotImplementedError" in (target / "answer.py").read_text()
    assert sorted(p.name for p in target.parent.iterdir()) == ["where"]


def test_the_marker_says_what_the_folder_is(work: Path) -> None:
    """Format, exercise, its version and the time in UTC."""
    marker = json.loads((work / ".archprep.json").read_text())
    assert (marker["format"], marker["exercise"], marker["version"]) == (1, "q1", 1)
    assert datetime.fromisoformat(marker["started_at"]).utcoffset() is not None


def test_files_can_be_edited_though_the_installation_is_read_only(
    tmp_path: Path, exercise: Exercise
) -> None:
    """Copies do not inherit the modes of the package's files."""
    (exercise.brief_dir / "starter" / "answer.py").chmod(0o444)
    made = start_workspace(exercise, tmp_path / "w")
    assert (made.path / "answer.py").stat().st_mode & 0o200


def test_starting_again_touches_nothing(work: Path, exercise: Exercise) -> None:
    """Not even a file that is gone comes back: it is reported."""
    (work / "answer.py").write_text("mine")
    (work / "README.md").unlink()
    (work / "test_examples.py").unlink()
    before = snapshot(work)
    again = start_workspace(exercise, work)
    assert (again.resumed, again.missing) == (True, ("README.md", "test_examples.py"))
    assert snapshot(work) == before


def test_a_folder_laid_out_like_the_starter_is_resumed(tmp_path: Path, exercise: Exercise) -> None:
    """Somebody copied their files without the marker: the folder is taken as it stands."""
    write_tree(tmp_path / "mine", {"answer.py": "x"})
    assert start_workspace(exercise, tmp_path / "mine").resumed
    assert list(snapshot(tmp_path / "mine")) == ["answer.py"]


def test_a_foreign_folder_is_refused(tmp_path: Path, exercise: Exercise) -> None:
    """Files that archprep does not know are never mixed with the starter's."""
    write_tree(tmp_path / "thesis", {"chapter.tex": "x"})
    with pytest.raises(UsageError, match="thesis is not empty and not a workspace of q1"):
        start_workspace(exercise, tmp_path / "thesis")
    assert list(snapshot(tmp_path / "thesis")) == ["chapter.tex"]


def test_the_workspace_of_another_exercise_is_refused(work: Path) -> None:
    """Though its files may have the same names."""
    with pytest.raises(UsageError, match="is the workspace of q1, not of q3"):
        start_workspace(catalog.get("q3"), work)


def test_a_file_in_the_way_is_told(tmp_path: Path, exercise: Exercise) -> None:
    """--dir that names a file is a mistake, not a traceback."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file cannot be used: Not a directory"):
        start_workspace(exercise, tmp_path / "file")


def test_an_empty_folder_is_filled_in_place(tmp_path: Path, exercise: Exercise) -> None:
    """A shell that stands in it keeps standing in it."""
    (tmp_path / "empty").mkdir()
    inode = (tmp_path / "empty").stat().st_ino
    assert not start_workspace(exercise, tmp_path / "empty").resumed
    assert (tmp_path / "empty").stat().st_ino == inode
    assert sorted(snapshot(tmp_path / "empty")) == NEW


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("step", range(11))
def test_an_interrupted_start_leaves_nothing(
    tmp_path: Path, exercise: Exercise, monkeypatch: pytest.MonkeyPatch, step: int, *, exists: bool
) -> None:
    """Ctrl-C at any step: the place is as it was before, and a new start works."""
    target = tmp_path / "alone" / "w"
    (target if exists else target.parent).mkdir(parents=True)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        try:
            start_workspace(exercise, target)
        except KeyboardInterrupt:
            assert snapshot(tmp_path / "alone") == ({"w": None} if exists else {})
    start_workspace(exercise, target)
    assert sorted(snapshot(target)) == NEW


def interrupt_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Make the `step`-th copy, write or rename from now on fail like Ctrl-C, once."""
    left = [step]

    def counting(work: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
            return work(*args, **kwargs)

        return wrapped

    patch.setattr(shutil, "copyfile", counting(shutil.copyfile))
    patch.setattr(Path, "write_text", counting(Path.write_text))
    patch.setattr(Path, "rename", counting(Path.rename))


def test_only_the_folder_itself_must_be_writable(user: OrdinaryUser, theirs: Exercise) -> None:
    """An empty folder is filled without touching its parent: it may be a mount."""
    (user.folder / "mount").mkdir()
    user.become()
    user.folder.chmod(0o555)
    start_workspace(theirs, user.folder / "mount")
    assert sorted(snapshot(user.folder / "mount")) == NEW


def test_a_closed_parent_is_told(user: OrdinaryUser, exercise: Exercise) -> None:
    """A read-only folder gives a sentence with a way out."""
    user.folder.chmod(0o500)
    user.become()
    with pytest.raises(UsageError, match="w cannot be used: Permission denied") as caught:
        start_workspace(exercise, user.folder / "w")
    assert "--dir" in (caught.value.tip or "")


@pytest.mark.parametrize(
    ("brief", "message"),
    [
        ("{{ nobody }}", "brief.md: 'nobody' is undefined"),
        ("a\n{% if %}", "brief.md:2: "),
        ("{{ exercise.nothing }}", "brief.md: "),
    ],
)
def test_a_faulty_brief_is_our_fault(
    tmp_path: Path, exercise: Exercise, brief: str, message: str
) -> None:
    """A template that names what does not exist is never shown with a hole in it."""
    (exercise.brief_dir / "brief.md").write_text(brief)
    with pytest.raises(ContentError) as caught:
        start_workspace(exercise, tmp_path / "w")
    assert caught.value.message.startswith(f"exercises/{exercise.folder}/{message}")
    assert not (tmp_path / "w").exists()


# ------------------------------------------------------------------ find


def test_a_workspace_is_found_from_within(work: Path, tmp_path: Path) -> None:
    """From the folder itself and any folder inside; outside there is none."""
    (work / "pkg" / "deep").mkdir(parents=True)
    found = find_workspace(work / "pkg" / "deep")
    assert found
    assert (found.path, found.exercise_id) == (work, "q1")
    assert find_workspace(work) == found
    assert find_workspace(tmp_path) is None
    assert find_workspace(work / "gone") is not None


@pytest.mark.parametrize(
    "marker", ["", "[]", "{", '{"exercise": 3}', "\x00", "[" * 4000, '{"exercise": ""}']
)
def test_a_broken_marker_is_no_marker(work: Path, marker: str) -> None:
    """A candidate may write anything into it."""
    (work / ".archprep.json").write_text(marker)
    assert find_workspace(work) is None


def test_a_marker_that_is_a_pipe_does_not_hang(work: Path) -> None:
    """Nobody is made to wait for the other end."""
    (work / ".archprep.json").unlink()
    os.mkfifo(work / ".archprep.json")
    assert find_workspace(work) is None


def test_the_layout_tells_a_workspace_too(work: Path, exercise: Exercise) -> None:
    """A copy without the marker is recognised by the files that the candidate writes."""
    (work / ".archprep.json").unlink()
    assert looks_like_workspace(work, exercise)
    (work / "answer.py").rename(work / "renamed.py")
    assert not looks_like_workspace(work, exercise)


# ------------------------------------------------------------------ reset


def test_a_reset_keeps_what_was_there(work: Path, exercise: Exercise) -> None:
    """The old files are in a dated folder beside it, the starter is back, the folder the same."""
    write_tree(work, {"answer.py": "mine", "pkg/more.py": "more"})
    (work / "README.md").unlink()
    (work / "dangling").symlink_to("nowhere")
    before, inode = snapshot(work), work.stat().st_ino
    backup = reset_workspace(exercise, work)
    assert snapshot(backup) == before
    assert backup.parent == work.parent
    assert datetime.strptime(backup.name, "q01_event_bus.backup-%Y%m%d-%H%M%S")  # noqa: DTZ007
    assert sorted(snapshot(work)) == NEW
    assert "NotImplementedError" in (work / "answer.py").read_text()
    assert work.stat().st_ino == inode


def test_a_backup_never_replaces_another(work: Path, exercise: Exercise) -> None:
    """Several resets within a second give several folders."""
    backups = []
    for text in ("first", "second", "third"):
        (work / "answer.py").write_text(text)
        backups.append(reset_workspace(exercise, work))
    assert [(b / "answer.py").read_text() for b in backups] == ["first", "second", "third"]


def test_a_reset_leaves_repositories_and_environments(work: Path, exercise: Exercise) -> None:
    """What archprep never reads is neither moved nor lost; what the starter brings is backed up."""
    write_tree(exercise.brief_dir / "starter", {".gitignore": "ours"})
    apart = {".git/HEAD": "x", ".venv/bin/python": "x", "env/pyvenv.cfg": "x", "env/bin/pip": "x"}
    write_tree(work, {**apart, ".gitignore": "mine"})
    backup = reset_workspace(exercise, work)
    assert all((work / name).read_text() == "x" for name in apart)
    assert (work / ".gitignore").read_text() == "ours"
    assert (backup / ".gitignore").read_text() == "mine"
    assert not (backup / ".git").exists()


@pytest.mark.parametrize("step", range(17))
def test_an_interrupted_reset_loses_nothing(
    work: Path, exercise: Exercise, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Ctrl-C at any step: either all is as before, or the reset is complete."""
    (work / "answer.py").write_text("mine")
    (work / "dangling").symlink_to("nowhere")
    before = snapshot(work.parent)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        try:
            reset_workspace(exercise, work)
        except KeyboardInterrupt:
            assert snapshot(work.parent) == before
        else:
            assert "NotImplementedError" in (work / "answer.py").read_text()


@pytest.mark.parametrize("make", [False, True])
def test_there_must_be_something_to_reset(
    tmp_path: Path, exercise: Exercise, *, make: bool
) -> None:
    """No folder or an empty one: the user is told how to start."""
    if make:
        (tmp_path / "w").mkdir()
    with pytest.raises(UsageError, match="There is no workspace at") as caught:
        reset_workspace(exercise, tmp_path / "w")
    assert "archprep start q1" in (caught.value.tip or "")


def test_a_foreign_folder_is_not_reset(tmp_path: Path, exercise: Exercise) -> None:
    """`reset --dir` with the wrong folder must not empty it."""
    write_tree(tmp_path / "thesis", {"chapter.tex": "x"})
    with pytest.raises(UsageError, match="not a workspace of q1"):
        reset_workspace(exercise, tmp_path / "thesis")
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == []
    assert list(snapshot(tmp_path / "thesis")) == ["chapter.tex"]
