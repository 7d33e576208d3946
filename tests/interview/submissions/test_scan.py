"""A folder of submissions becomes one entry per candidate."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

from conftest import write_tree
from interview.submissions.inbox import NOW, altered, kit, only, refusal, scanned, started, zipped
from interview.zips.zip_samples import bomb, measured

from archprep.core.errors import UsageError
from archprep.interview.submissions.contents import FORGED
from archprep.interview.zips import extract as zip_extract


def test_slugs_are_plain_and_unique(inbox, tmp_path) -> None:
    """Other scripts are transliterated; a number is added where two would be the same."""
    for number, name in enumerate(["\u674e", "\u738b", "A b", "a-b", "a-b-2"]):
        zipped(kit(tmp_path, name), inbox / f"{number}.zip")
    slugs = [one.slug for one in scanned(inbox)]
    assert slugs == ["li", "wang", "a-b", "a-b-2", "a-b-2-2"]


def test_a_forged_name_is_not_believed(inbox, tmp_path) -> None:
    """Nor does it displace the genuine submission under that name."""
    zipped(kit(tmp_path, "Alice"), inbox / "first.zip", NOW - timedelta(minutes=5))
    forged = kit(tmp_path, "Mallory")
    altered(forged, candidate="Alice", minutes=9000)
    zipped(forged, inbox / "alice.zip")
    mine, theirs = sorted(scanned(inbox), key=lambda one: one.source, reverse=True)
    assert (mine.name, mine.superseded) == ("Alice", ())
    assert mine.flags == ("same or similar name as alice.zip",)
    assert (theirs.name, theirs.flags) == (
        "alice",
        (FORGED, "same or similar name as first.zip"),
    )
    assert {mine.slug, theirs.slug} == {"alice", "alice-2"}
    assert theirs.exercises


def test_the_folders_of_a_learning_platform_are_looked_into(inbox, tmp_path) -> None:
    """A folder for each person, with the zip in it; without a kit the folder has the name."""
    for person, made in (("A B_1_file", kit(tmp_path, "A B")), ("C D_2_file", None)):
        (inbox / person).mkdir()
        (inbox / person / "onlinetext.html").write_text("Dear all")
        zipped(made or started("q1", tmp_path / "q1"), inbox / person / "kit.zip")
    (inbox / "E F_3_file").mkdir()
    found = [(one.source, one.name, bool(one.problem)) for one in scanned(inbox)]
    assert found == [
        ("A B_1_file/kit.zip", "A B", False),
        ("C D_2_file/kit.zip", "C D_2_file", False),
        ("E F_3_file", "E F_3_file", True),
    ]


def test_a_link_to_a_folder_of_zips_is_not_followed(inbox, tmp_path) -> None:
    """Nor are links to zips in a platform's folder."""
    (tmp_path / "away").mkdir()
    zipped(kit(tmp_path), tmp_path / "away" / "kit.zip")
    (inbox / "person").symlink_to(tmp_path / "away")
    (inbox / "other").mkdir()
    (inbox / "other" / "kit.zip").symlink_to(tmp_path / "away" / "kit.zip")
    started("q1", inbox / "bob")
    assert [bool(one.problem) for one in scanned(inbox)] == [False, True, True]


def test_an_unrelated_file_does_not_displace_a_submission(inbox) -> None:
    """Some systems put alice.txt next to alice.zip."""
    started("q1", inbox / "alice")
    (inbox / "alice.txt").write_text("received on Monday")
    os.utime(inbox / "alice", (1, 1))
    good, bad = scanned(inbox)
    assert (good.source, good.problem, good.superseded) == ("alice", None, ())
    assert (bad.source, bad.slug) == ("alice.txt", "alice-2")


def test_a_missing_folder_is_refused(inbox) -> None:
    """The message has the system's reason."""
    assert "cannot be read: No such file" in refusal(inbox / "typo")


def test_a_file_instead_of_the_folder_is_refused(inbox) -> None:
    """Even if it is a zip."""
    (inbox / "a.zip").touch()
    assert "cannot be read: Not a directory" in refusal(inbox / "a.zip")


def test_an_empty_folder_is_refused(inbox) -> None:
    """Hidden files do not count."""
    (inbox / ".DS_Store").touch()
    assert refusal(inbox).endswith("contains no submissions: it is empty.")


def test_a_folder_without_submissions_is_refused(inbox) -> None:
    """Nothing in it looks like a kit or a workspace."""
    write_tree(inbox, {"notes.txt": "", "thesis/chapter.tex": "", "src/main.py": ""})
    assert "contains no submissions: nothing in it is a kit or a workspace" in refusal(inbox)


def test_a_broken_zip_counts_as_a_submission(inbox) -> None:
    """The folder is not refused because of it."""
    (inbox / "alice.zip").write_text("broken")
    assert only(inbox).problem


def test_a_submission_instead_of_its_folder_is_refused(inbox, tmp_path) -> None:
    """Its parent folder is meant."""
    assert refusal(kit(tmp_path)).endswith("is itself a kit or a workspace.")
    assert refusal(started("q1", inbox / "mine")).endswith("is itself a kit or a workspace.")


def test_a_full_disk_ends_the_scan(inbox, tmp_path, monkeypatch) -> None:
    """It is not the fault of the candidate whose zip is extracted then."""
    zipped(kit(tmp_path), inbox / "a.zip")

    def full(*_: object) -> None:
        raise UsageError("a.py cannot be written: No space left on device.", tip="Make room.")

    monkeypatch.setattr(zip_extract, "extract", full)
    assert "No space left" in refusal(inbox)


def test_a_hundred_submissions_are_scanned_in_flat_memory(inbox, tmp_path) -> None:
    """With bombs and a huge file among them, in seconds and a few MiB."""
    folder = kit(tmp_path)
    for number in range(90):
        altered(folder, candidate=f"C {number}")
        zipped(folder, inbox / f"{number:03}.zip")
    made = bomb(inbox / "bomb.zip")
    for number in range(9):
        shutil.copy(made, inbox / f"bomb{number}.zip")
    with (inbox / "large.zip").open("wb") as file:
        file.truncate(2**33)
    program = """
from archprep.interview.submissions.scan import scan
begun, before = time.perf_counter(), peak()
found = scan(Path(sys.argv[1]), Path(sys.argv[2]))
took, grown = time.perf_counter() - begun, peak() - before
print(took, grown, f"{len(found)} {sum(one.problem is None for one in found)}", sep="|")
"""
    took, grown, said = measured(inbox, tmp_path / "work", program=program)
    assert said == "101 90"
    assert took < 5
    assert grown < 24
