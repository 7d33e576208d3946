"""A folder of submissions becomes one entry per candidate."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

from conftest import write_tree
from interview.submissions.inbox import NOW, altered, kit, only, scanned, started, told, zipped
from interview.zips.zip_samples import bomb, measured

from archprep.core.errors import UsageError
from archprep.interview.submissions.contents import FORGED
from archprep.interview.zips import extract as zip_extract


def test_of_several_by_one_candidate_the_last_counts(inbox, tmp_path) -> None:
    """By receipt, then by name; the others are listed."""
    folder = kit(tmp_path)
    for name, minutes in (("c.zip", 30), ("a.zip", 10), ("b.zip", 10), ("d.zip", 20)):
        zipped(folder, inbox / name, NOW - timedelta(minutes=minutes))
    one = only(inbox)
    assert (one.source, one.superseded) == ("b.zip", ("c.zip", "d.zip", "a.zip"))


def test_spellings_of_one_name_are_one_candidate(inbox, tmp_path) -> None:
    zipped(kit(tmp_path, "Jos\u00e9"), inbox / "a.zip", NOW - timedelta(minutes=1))
    zipped(kit(tmp_path, "JOSE\u0301"), inbox / "b.zip")
    assert only(inbox).superseded == ("a.zip",)


def test_slugs_are_plain_and_unique(inbox, tmp_path) -> None:
    """Also where names have no letter of ASCII, or a name looks like another's slug."""
    for number, name in enumerate(["\u674e", "\u738b", "A b", "a-b", "a-b-2"]):
        zipped(kit(tmp_path, name), inbox / f"{number}.zip")
    slugs = [one.slug for one in scanned(inbox)]
    assert slugs == ["candidate", "candidate-2", "a-b", "a-b-2", "a-b-2-2"]


def test_a_forged_name_is_not_believed(inbox, tmp_path) -> None:
    """Nor does it displace the genuine one of that name."""
    zipped(kit(tmp_path, "Alice"), inbox / "first.zip", NOW - timedelta(minutes=5))
    forged = kit(tmp_path, "Mallory")
    altered(forged, candidate="Alice", minutes=9000)
    zipped(forged, inbox / "alice.zip")
    mine, theirs = sorted(scanned(inbox), key=lambda one: one.source, reverse=True)
    assert (mine.name, mine.flags, mine.superseded) == ("Alice", (), ())
    assert (theirs.name, theirs.flags) == ("alice", (FORGED,))
    assert {mine.slug, theirs.slug} == {"alice", "alice-2"}
    assert theirs.exercises


def test_what_else_lies_beside_a_submission_does_not_displace_it(inbox) -> None:
    """Some systems put alice.txt beside alice.zip."""
    started("q1", inbox / "alice")
    (inbox / "alice.txt").write_text("received on Monday")
    os.utime(inbox / "alice", (1, 1))
    good, bad = scanned(inbox)
    assert (good.source, good.problem, good.superseded) == ("alice", None, ())
    assert (bad.source, bad.slug) == ("alice.txt", "alice-2")


def test_a_folder_that_is_not_there(inbox) -> None:
    assert "cannot be read: No such file" in told(inbox / "typo")


def test_a_file_in_place_of_the_folder(inbox) -> None:
    (inbox / "a.zip").touch()
    assert "cannot be read: Not a directory" in told(inbox / "a.zip")


def test_an_empty_folder(inbox) -> None:
    """Hidden files do not count."""
    (inbox / ".DS_Store").touch()
    assert told(inbox).endswith("contains no submissions: it is empty.")


def test_a_folder_of_other_things(inbox) -> None:
    write_tree(inbox, {"notes.txt": "", "thesis/chapter.tex": "", "src/main.py": ""})
    assert "contains no submissions: nothing in it is a kit or a workspace" in told(inbox)


def test_one_broken_zip_is_a_submission_all_the_same(inbox) -> None:
    (inbox / "alice.zip").write_text("broken")
    assert only(inbox).problem


def test_a_submission_in_place_of_their_folder(inbox, tmp_path) -> None:
    """The folder above is meant."""
    assert told(kit(tmp_path)).endswith("is itself a kit or a workspace.")
    assert told(started("q1", inbox / "mine")).endswith("is itself a kit or a workspace.")


def test_a_full_disk_ends_the_scan(inbox, tmp_path, monkeypatch) -> None:
    """It is no fault of whoever is unpacked then."""
    zipped(kit(tmp_path), inbox / "a.zip")

    def full(*_: object) -> None:
        raise UsageError("a.py cannot be written: No space left on device.", tip="Make room.")

    monkeypatch.setattr(zip_extract, "extract", full)
    assert "No space left" in told(inbox)


def test_a_hundred_submissions_are_scanned_in_flat_memory(inbox, tmp_path) -> None:
    """Bombs and a large file among them; seconds for all, and a few MiB."""
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
