"""A submission contains the candidate's own plain files, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from conftest import OrdinaryUser, write_tree

from archprep.core.errors import UsageError
from archprep.core.model import Exercise, Submission
from archprep.workspace import submission as intake
from archprep.workspace.folder import start_workspace
from archprep.workspace.submission import discard, freeze


@pytest.fixture
def work(tmp_path: Path, exercise: Exercise) -> Path:
    """A started workspace."""
    return start_workspace(exercise, tmp_path / "work").path


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Where the copy goes; it does not exist yet."""
    return tmp_path / "runs" / "stage"


def names(submission: Submission) -> list[str]:
    return [file.path for file in submission.files]


def staged(submission: Submission) -> list[str]:
    found = [p for p in submission.root.rglob("*") if not p.is_dir()]
    return sorted(p.relative_to(submission.root).as_posix() for p in found)


def refusal(work: Path, exercise: Exercise, stage: Path) -> str:
    """Return the message of the UsageError; nothing is left in the stage."""
    with pytest.raises(UsageError) as caught:
        freeze(work, exercise, stage)
    assert not stage.exists()
    assert caught.value.tip
    return caught.value.message


def test_only_code_and_discussion_are_taken(work: Path, exercise: Exercise, stage: Path) -> None:
    """Python files anywhere, the discussion, and the starter's files; nothing else."""
    write_tree(exercise.brief_dir / "starter", {"table.csv": ""})
    extra = {"pkg/deep/more.py": "", "table.csv": "1,2", "pkg/table.csv": "", "notes.txt": ""}
    write_tree(work, {**extra, "pkg/DISCUSSION.md": "", "data.bin": "", "answer.pyc": ""})
    submission = freeze(work, exercise, stage)
    expected = ["DISCUSSION.md", "answer.py", "pkg/deep/more.py", "table.csv", "test_examples.py"]
    assert names(submission) == staged(submission) == expected


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.py",
        ".git/hook.py",
        ".venv/lib/x.py",
        "venv/lib/x.py",
        "__pycache__/x.py",
        "node_modules/x.py",
        "pkg/site-packages/x.py",
        "__MACOSX/x.py",
    ],
)
def test_what_tools_leave_is_skipped(
    work: Path, exercise: Exercise, stage: Path, name: str
) -> None:
    """Hidden files, caches and installed packages are not part of an answer."""
    write_tree(work, {name: "x"})
    assert names(freeze(work, exercise, stage)) == [
        "DISCUSSION.md",
        "answer.py",
        "test_examples.py",
    ]


def test_a_virtual_environment_is_recognized_by_its_marker(
    work: Path, exercise: Exercise, stage: Path
) -> None:
    """Whatever its name is, its links and packages are skipped."""
    write_tree(work, {"py312/pyvenv.cfg": "", "py312/x.py": "", "py312/lib/y.py": ""})
    (work / "py312" / "lib64").symlink_to("lib")
    assert len(freeze(work, exercise, stage).files) == 3


def test_the_copy_is_exact_hashed_and_read_only(
    work: Path, exercise: Exercise, stage: Path
) -> None:
    """Any bytes; sha256 and size of each file; readable by everyone, writable by no one."""
    data = b"# caf\xe9\r\n\x00"
    (work / "answer.py").write_bytes(data)
    write_tree(work, {"pkg/__init__.py": ""})
    submission = freeze(work, exercise, stage)
    [answer] = [file for file in submission.files if file.path == "answer.py"]
    assert (submission.root / "answer.py").read_bytes() == data
    assert (answer.sha256, answer.size) == (hashlib.sha256(data).hexdigest(), len(data))
    modes = {oct(p.stat().st_mode & 0o7777) for p in stage.rglob("*") if p.is_file()}
    assert modes == {"0o444"}
    assert {oct(p.stat().st_mode & 0o7777) for p in (stage, stage / "pkg")} == {"0o555"}


def test_the_digest_stands_for_names_and_contents(
    work: Path, exercise: Exercise, tmp_path: Path
) -> None:
    """The same files give the same digest, whatever is next to them; any change another."""

    def digest(name: str) -> str:
        return freeze(work, exercise, tmp_path / name).digest

    first = digest("s1")
    write_tree(work, {"README.md": "changed", "notes.txt": "x"})
    assert digest("s2") == first
    write_tree(work, {"more.py": "x = 1\n"})
    with_more = digest("s3")
    (work / "more.py").rename(work / "other.py")
    renamed = digest("s4")
    (work / "other.py").write_text("x = 2\n")
    assert len({first, with_more, renamed, digest("s5")}) == 4


def test_the_workspace_is_not_modified(work: Path, exercise: Exercise, stage: Path) -> None:
    """Freezing only reads: contents, modes and times stay the same."""

    def facts() -> list[tuple[str, int, int]]:
        stats = {str(p): p.stat() for p in (work, *work.rglob("*"))}
        return sorted((name, s.st_mode, s.st_mtime_ns) for name, s in stats.items())

    before = facts()
    freeze(work, exercise, stage)
    assert facts() == before


def test_a_discarded_copy_is_gone(work: Path, exercise: Exercise, stage: Path) -> None:
    """Although it is read-only; a copy that is already gone is not an error."""
    write_tree(work, {"pkg/deep/x.py": ""})
    freeze(work, exercise, stage)
    discard(stage)
    assert not stage.exists()
    discard(stage)


def test_an_ordinary_user_can_discard_a_copy(user: OrdinaryUser, theirs: Exercise) -> None:
    """Its folders are made writable first."""
    work = start_workspace(theirs, user.folder / "work").path
    write_tree(work, {"pkg/deep/x.py": ""})
    user.become()
    discard(freeze(work, theirs, user.folder / "stage").root)
    assert not (user.folder / "stage").exists()


def test_discarding_follows_no_link(
    work: Path, exercise: Exercise, stage: Path, tmp_path: Path
) -> None:
    """A link in the copy does not change files or modes elsewhere."""
    outside = tmp_path / "outside"
    write_tree(outside, {"precious.txt": "x"})
    outside.chmod(0o755)
    freeze(work, exercise, stage)
    stage.chmod(0o755)
    (stage / "link").symlink_to(outside)
    discard(stage)
    assert not stage.exists()
    assert (outside / "precious.txt").read_text() == "x"
    assert outside.stat().st_mode & 0o777 == 0o755


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("target", ["/etc/passwd", "answer.py", "nowhere", "/etc", "."])
@pytest.mark.parametrize("name", ["helper.py", "DISCUSSION.md"])
def test_links_are_refused(
    work: Path, exercise: Exercise, stage: Path, name: str, target: str
) -> None:
    """Links to files or folders, inside, outside or dangling, are never followed."""
    (work / name).unlink(missing_ok=True)
    (work / name).symlink_to(target)
    assert refusal(work, exercise, stage) == f"{work / name} is a link."


def test_a_link_to_a_folder_of_modules_is_refused(
    work: Path, exercise: Exercise, stage: Path
) -> None:
    """Without it the code that imports them could not be explained."""
    write_tree(work.parent, {"shared/models.py": ""})
    (work / "models").symlink_to("../shared")
    assert refusal(work, exercise, stage) == f"{work / 'models'} is a link."


@pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", "2026-03-02"])
def test_links_to_anything_else_are_left_out(
    work: Path, exercise: Exercise, stage: Path, target: str
) -> None:
    """Airflow links its latest logs, say; a link may point nowhere."""
    write_tree(work, {"logs/2026-03-02/x.log": "x"})
    (work / "logs" / "latest").symlink_to(target)
    assert len(freeze(work, exercise, stage).files) == 3


def test_a_file_that_becomes_a_link_during_the_copy_is_refused(
    work: Path, exercise: Exercise, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be replaced by a link to a secret between listing and opening it."""
    secret = work.parent / "secret.py"
    secret.write_text("password")
    really_open = os.open

    def open_late(path: str, flags: int, **rest: int) -> int:
        if path == "answer.py":
            (work / path).unlink()
            (work / path).symlink_to(secret)
        return really_open(path, flags, **rest)

    monkeypatch.setattr(os, "open", open_late)
    assert "answer.py cannot be read" in refusal(work, exercise, stage)


def test_a_folder_that_becomes_a_link_during_the_copy_is_refused(
    work: Path, exercise: Exercise, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a folder."""
    write_tree(work, {"pkg/x.py": ""})
    write_tree(work.parent, {"secrets/x.py": "password"})
    really_open = os.open

    def open_late(path: str, flags: int, **rest: int) -> int:
        if path == "pkg":
            (work / path).rename(work.parent / "old")
            (work / path).symlink_to(work.parent / "secrets")
        return really_open(path, flags, **rest)

    monkeypatch.setattr(os, "open", open_late)
    assert "pkg cannot be read" in refusal(work, exercise, stage)


def test_pipes_and_sockets_are_refused_at_once(
    work: Path, exercise: Exercise, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A special file with the name of a code file neither blocks nor is copied."""
    os.mkfifo(work / "pipe.py")
    assert refusal(work, exercise, stage) == f"{work / 'pipe.py'} is not a regular file."
    (work / "pipe.py").unlink()
    monkeypatch.chdir(work)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock.py")
        assert "sock.py cannot be read" in refusal(work, exercise, stage)


def test_a_folder_with_the_name_of_the_entry_file_is_refused(
    work: Path, exercise: Exercise, stage: Path
) -> None:
    """answer.py must be a file."""
    (work / "answer.py").unlink()
    write_tree(work, {"answer.py/x.py": ""})
    assert refusal(work, exercise, stage) == f"answer.py is missing from {work}."


def test_a_missing_entry_file_is_named(work: Path, exercise: Exercise, stage: Path) -> None:
    """With the folder and the likely cause."""
    (work / "answer.py").rename(work / "answer2.py")
    with pytest.raises(UsageError) as caught:
        freeze(work, exercise, stage)
    assert caught.value.message == f"answer.py is missing from {work}."
    assert "renamed" in (caught.value.tip or "")


def test_a_missing_folder_is_a_usage_error(tmp_path: Path, exercise: Exercise, stage: Path) -> None:
    """The tip has the command that creates it."""
    with pytest.raises(UsageError, match="does not exist") as caught:
        freeze(tmp_path / "gone", exercise, stage)
    assert "archprep start q1" in (caught.value.tip or "")


@pytest.mark.parametrize(
    "name", ["na\nme.py", "\x1b[2J.py", "back\\slash.py", "\udcff.py", "\u202ex.py"]
)
def test_unusual_names_are_refused(work: Path, exercise: Exercise, stage: Path, name: str) -> None:
    """Names that could control a terminal or mean another path; the message is sanitized."""
    (work / name).write_text("")
    message = refusal(work, exercise, stage)
    assert message.endswith("has a name with unusual characters.")
    assert "\x1b" not in message


# ------------------------------------------------------------------ caps


def test_files_up_to_the_limits_are_taken(work: Path, exercise: Exercise, stage: Path) -> None:
    """256 KiB in one file, 8 folders deep."""
    (work / "big.py").write_bytes(b"#" * intake.MAX_FILE_BYTES)
    deep = "/".join("abcdefgh") + "/x.py"
    write_tree(work, {deep: ""})
    assert {"big.py", deep} <= set(names(freeze(work, exercise, stage)))


def test_a_large_file_is_refused(work: Path, exercise: Exercise, stage: Path) -> None:
    """Even a sparse file of a terabyte is refused at once."""
    (work / "big.py").touch()
    os.truncate(work / "big.py", 2**40)
    assert refusal(work, exercise, stage) == f"{work / 'big.py'} is larger than 256 KiB."


def test_many_middling_files_are_refused(work: Path, exercise: Exercise, stage: Path) -> None:
    """The limit for all files is 2 MiB."""
    for n in range(9):
        (work / f"m{n}.py").write_bytes(b"#" * (250 * 1024))
    assert refusal(work, exercise, stage) == f"{work} contains more than 2 MiB of code."


def test_many_files_are_refused(work: Path, exercise: Exercise, stage: Path) -> None:
    """The limit is 200 files."""
    write_tree(work, {f"m{n}.py": "" for n in range(198)})
    assert refusal(work, exercise, stage) == f"{work} contains more than 200 files."


def test_many_entries_are_refused(
    work: Path, exercise: Exercise, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ignored files count, too, since listing them takes time."""
    monkeypatch.setattr(intake, "MAX_ENTRIES", 50)
    write_tree(work, {f"data/{n}.csv": "" for n in range(50)})
    assert refusal(work, exercise, stage) == f"{work} contains more than 50 files and folders."


def test_a_deep_tree_is_refused(work: Path, exercise: Exercise, stage: Path) -> None:
    """The limit is 8 folders."""
    write_tree(work, {"/".join("abcdefghi") + "/x.py": ""})
    assert refusal(work, exercise, stage).endswith(
        "a/b/c/d/e/f/g/h/i is nested deeper than 8 folders."
    )


def test_a_long_path_is_refused(work: Path, exercise: Exercise, stage: Path) -> None:
    """The limit for the path inside the workspace is 200 bytes."""
    write_tree(work, {f"{'a' * 150}/{'b' * 60}.py": ""})
    assert refusal(work, exercise, stage).endswith("has a path longer than 200 bytes.")


# ------------------------------------------------------------------ permissions and disks


@pytest.mark.parametrize("closed", ["answer.py", "pkg", ""])
def test_an_unreadable_file_is_named(user: OrdinaryUser, theirs: Exercise, closed: str) -> None:
    """Or folder; the tip has the command that makes it readable."""
    work = start_workspace(theirs, user.folder / "work").path
    write_tree(work, {"pkg/x.py": ""})
    (work / closed).chmod(0o000)
    user.become()
    with pytest.raises(UsageError) as caught:
        freeze(work, theirs, user.folder / "stage")
    assert caught.value.message == f"{work / closed} cannot be read."
    assert "chmod" in (caught.value.tip or "")
    assert not (user.folder / "stage").exists()


def test_an_unreadable_file_of_another_user_has_another_fix(
    user: OrdinaryUser, theirs: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after sudo: chmod works for the owner only, so the tip changes the owner."""
    work = start_workspace(theirs, user.folder / "work").path
    (work / "answer.py").chmod(0o000)
    user.become()
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(UsageError) as caught:
        freeze(work, theirs, user.folder / "stage")
    assert caught.value.message == f"{work / 'answer.py'} cannot be read."
    assert caught.value.tip == f'It belongs to another user: sudo chown -R "$(id -un)" {work}'


def test_a_hard_link_to_a_file_elsewhere_is_refused(
    work: Path, exercise: Exercise, stage: Path, tmp_path: Path
) -> None:
    """It would hand in another one's file; two names inside are the candidate's own."""
    (work / "first.py").write_text("x = 1\n")
    (work / "second.py").hardlink_to(work / "first.py")
    assert {"first.py", "second.py"} <= {f.path for f in freeze(work, exercise, stage).files}
    (tmp_path / "theirs.py").write_text("secret\n")
    (work / "third.py").hardlink_to(tmp_path / "theirs.py")
    assert "third.py is a hard link" in refusal(work, exercise, tmp_path / "again")


def test_a_read_only_workspace_can_be_frozen(user: OrdinaryUser, theirs: Exercise) -> None:
    """Grading needs no permission to write to the candidate's folder."""
    work = start_workspace(theirs, user.folder / "work").path
    work.chmod(0o555)
    user.become()
    assert len(freeze(work, theirs, user.folder / "stage").files) == 3


def test_a_copy_that_cannot_be_written_is_a_usage_error(
    work: Path, exercise: Exercise, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is about the disk, not about the submission."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    assert refusal(work, exercise, stage).endswith(f"copied to {stage}: No space left on device.")
