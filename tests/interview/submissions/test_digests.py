"""The digest of a submission changes with its code, and with nothing else."""

from __future__ import annotations

from conftest import write_tree
from interview.submissions.inbox import only, scanned, started

from archprep.interview import submission_rules


def test_the_digest_of_a_folder_covers_its_code(inbox) -> None:
    """Any change to what may be graded changes it; other files do not."""
    folder = started("q1", inbox / "bob")
    digests = [only(inbox).digest]
    write_tree(folder, {"notes.txt": "x", ".git/x": "", "__pycache__/answer.pyc": ""})
    assert only(inbox).digest == digests[0]
    (folder / "answer.py").write_text("x = 1\n")
    digests.append(only(inbox).digest)
    (folder / "answer.py").rename(folder / "other.py")
    digests.append(only(inbox).digest)
    (folder / "more").symlink_to("/etc")
    digests.append(only(inbox).digest)
    assert len(set(digests)) == 4


def test_the_digest_of_a_huge_file_covers_its_beginning_and_size(inbox) -> None:
    """It is refused anyway, so nobody waits for the rest."""
    digests = set()
    for size in (2**30, 2**31, 2**40):
        with (inbox / "alice.zip").open("wb") as file:
            file.truncate(size)  # sparse
        digests.add(only(inbox).digest)
    assert len(digests) == 3


def test_folders_have_limits(inbox, monkeypatch) -> None:
    """Attack 35: too many entries or files are one problem; freezing refuses too many levels."""
    monkeypatch.setattr(submission_rules, "MAX_ENTRIES", 50)
    monkeypatch.setattr(submission_rules, "MAX_WRITTEN", 20)
    for name, count, extension in (("entries", 60, "txt"), ("files", 30, "py")):
        started("q1", inbox / name)
        for number in range(count):
            (inbox / name / f"x{number}.{extension}").touch()
    deep = started("q1", inbox / "deep")
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    found = {one.source: one.problem for one in scanned(inbox)}
    assert found["entries"].startswith("entries contains more than 50 files and folders.")
    assert found["files"].startswith("files contains more than 20 files of code.")
    assert found["deep"] is None  # freezing refuses it
