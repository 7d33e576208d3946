"""A workspace is created completely, resumed without changes, and never lost."""

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


# -- start -------------------------------------------------------------------------------------


def test_a_start_makes_everything_the_candidate_needs(tmp_path: Path, exercise: Exercise) -> None:
    """The rendered brief, the prompts, the starter's files and the marker; also the parents."""
    target = tmp_path / "some" / "where"
    made = start_workspace(exercise, target)
    assert made == Workspace(target, "q1", resumed=False)
    assert sorted(snapshot(target)) == NEW
    assert (target / "README.md").read_text() == "# Event bus\n\nWork in where.\n"
    assert (target / "DISCUSSION.md").read_text() == "Why this way?\n"
    assert "NotImplementedError" in (target / "answer.py").read_text()
    assert sorted(p.name for p in target.parent.iterdir()) == ["where"]


def test_the_marker_describes_the_folder(work: Path) -> None:
    """Format, exercise, its version and the time in UTC."""
    marker = json.loads((work / ".archprep.json").read_text())
    assert (marker["format"], marker["exercise"], marker["version"]) == (1, "q1", 1)
    assert datetime.fromisoformat(marker["started_at"]).utcoffset() is not None


def test_files_are_writable_even_if_the_installation_is_not(
    tmp_path: Path, exercise: Exercise
) -> None:
    """The copies do not inherit the modes of the package's files."""
    (exercise.brief_dir / "starter" / "answer.py").chmod(0o444)
    made = start_workspace(exercise, tmp_path / "w")
    assert (made.path / "answer.py").stat().st_mode & 0o200


def test_starting_again_changes_nothing(work: Path, exercise: Exercise) -> None:
    """A deleted file is not restored, but reported."""
    (work / "answer.py").write_text("mine")
    (work / "README.md").unlink()
    (work / "test_examples.py").unlink()
    before = snapshot(work)
    again = start_workspace(exercise, work)
    assert (again.resumed, again.missing) == (True, ("README.md", "test_examples.py"))
    assert snapshot(work) == before


def test_a_folder_with_the_entry_files_is_resumed(tmp_path: Path, exercise: Exercise) -> None:
    """As after copying the files without the marker; nothing is added."""
    write_tree(tmp_path / "mine", {"answer.py": "x"})
    assert start_workspace(exercise, tmp_path / "mine").resumed
    assert list(snapshot(tmp_path / "mine")) == ["answer.py"]


def test_a_foreign_folder_is_refused(tmp_path: Path, exercise: Exercise) -> None:
    """Unknown files are never mixed with the starter's."""
    write_tree(tmp_path / "thesis", {"chapter.tex": "x"})
    with pytest.raises(UsageError, match="thesis is not empty and not a workspace of q1"):
        start_workspace(exercise, tmp_path / "thesis")
    assert list(snapshot(tmp_path / "thesis")) == ["chapter.tex"]


def test_the_workspace_of_another_exercise_is_refused(work: Path) -> None:
    """Even if its files have the same names."""
    with pytest.raises(UsageError, match="is the workspace of q1, not of q3"):
        start_workspace(catalog.get("q3"), work)


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path, exercise: Exercise) -> None:
    """It is a usage error, not a traceback."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file cannot be used: Not a directory"):
        start_workspace(exercise, tmp_path / "file")


def test_an_empty_folder_is_filled_in_place(tmp_path: Path, exercise: Exercise) -> None:
    """It is not replaced: a shell may be in it."""
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
    """Ctrl-C at any step: the folder is as before, and a new start works."""
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
    """An empty folder is filled without changing its parent: it may be a mount."""
    (user.folder / "mount").mkdir()
    user.become()
    user.folder.chmod(0o555)
    start_workspace(theirs, user.folder / "mount")
    assert sorted(snapshot(user.folder / "mount")) == NEW


def test_a_read_only_parent_is_a_usage_error(user: OrdinaryUser, exercise: Exercise) -> None:
    """The tip suggests --dir."""
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
def test_a_faulty_brief_is_a_content_error(
    tmp_path: Path, exercise: Exercise, brief: str, message: str
) -> None:
    """An undefined name is an error, never a gap in the text."""
    (exercise.brief_dir / "brief.md").write_text(brief)
    with pytest.raises(ContentError) as caught:
        start_workspace(exercise, tmp_path / "w")
    assert caught.value.message.startswith(f"exercises/{exercise.folder}/{message}")
    assert not (tmp_path / "w").exists()


# -- find --------------------------------------------------------------------------------------


def test_a_workspace_is_found_from_within(work: Path, tmp_path: Path) -> None:
    """From the folder itself and any folder inside, but not from outside."""
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
def test_a_broken_marker_is_ignored(work: Path, marker: str) -> None:
    """The candidate may write anything into it."""
    (work / ".archprep.json").write_text(marker)
    assert find_workspace(work) is None


def test_a_marker_that_is_a_pipe_does_not_hang(work: Path) -> None:
    """Opening it does not wait for the other end."""
    (work / ".archprep.json").unlink()
    os.mkfifo(work / ".archprep.json")
    assert find_workspace(work) is None


def test_a_workspace_is_recognized_by_its_entry_files(work: Path, exercise: Exercise) -> None:
    """A copy without the marker is, too."""
    (work / ".archprep.json").unlink()
    assert looks_like_workspace(work, exercise)
    (work / "answer.py").rename(work / "renamed.py")
    assert not looks_like_workspace(work, exercise)


# -- reset -------------------------------------------------------------------------------------


def test_a_reset_keeps_what_was_there(work: Path, exercise: Exercise) -> None:
    """The old files are in a dated folder next to it; the starter is back in the same folder."""
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
    """What archprep never reads stays in place; what the starter replaces is backed up."""
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
    """Ctrl-C at any step: either everything is as before, or the reset is complete."""
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
    """If there is no folder or an empty one, the tip says how to start."""
    if make:
        (tmp_path / "w").mkdir()
    with pytest.raises(UsageError, match="There is no workspace at") as caught:
        reset_workspace(exercise, tmp_path / "w")
    assert "archprep start q1" in (caught.value.tip or "")


def test_a_foreign_folder_is_not_reset(tmp_path: Path, exercise: Exercise) -> None:
    """`reset --dir` does not empty another folder."""
    write_tree(tmp_path / "thesis", {"chapter.tex": "x"})
    with pytest.raises(UsageError, match="not a workspace of q1"):
        reset_workspace(exercise, tmp_path / "thesis")
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == []
    assert list(snapshot(tmp_path / "thesis")) == ["chapter.tex"]
