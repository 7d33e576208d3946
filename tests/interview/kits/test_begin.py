"""The clock is started once, and a kit is never unpacked over something else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import RIGHT, write_tree
from interview.kits.conftest import NOON

from archprep.core.errors import UsageError
from archprep.interview.kits.begin import begin
from archprep.interview.zips.zip_writer import zipped as zip_of


def test_begin_starts_the_clock_only_once(kit, clock) -> None:
    """A second begin changes nothing and shows when the first one was."""
    one = begin(kit)
    assert (one.at, one.was_running, one.deadline) == (NOON, False, NOON + timedelta(minutes=120))
    files = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    clock.now += timedelta(minutes=7)
    two = begin(kit)
    assert (two.at, two.was_running, two.kit.candidate) == (NOON, True, "Ada L")
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == files


def test_a_zip_is_unpacked_next_to_itself(zipped, clock) -> None:
    """A second begin of the same zip finds the folder and changes nothing."""
    begun = begin(zipped)
    assert begun.folder == zipped.with_suffix("")
    assert sorted(p.name for p in zipped.parent.iterdir()) == ["ada-l", "ada-l.zip"]
    (begun.folder / "q01_event_bus" / "answer.py").write_text(RIGHT)
    clock.now += timedelta(minutes=7)
    again = begin(zipped)
    assert (again.folder, again.at, again.was_running) == (begun.folder, NOON, True)
    assert (begun.folder / "q01_event_bus" / "answer.py").read_text() == RIGHT


def test_a_kit_is_never_unpacked_over_another_folder(zipped) -> None:
    """A folder with the kit's name that is not this kit is left alone."""
    write_tree(zipped.with_suffix(""), {"thesis.tex": "x"})
    with pytest.raises(UsageError, match=r"and is not the kit of ada-l\.zip"):
        begin(zipped)
    assert sorted(p.name for p in zipped.parent.rglob("*")) == ["ada-l", "ada-l.zip", "thesis.tex"]


@pytest.mark.parametrize("content_", [b"no zip", None], ids=["no zip", "another zip"])
def test_a_file_that_is_not_a_kit_cannot_be_begun(zipped, content_) -> None:
    """The refusal has a tip, and nothing is left behind."""
    zipped.write_bytes(content_ or zip_of({"a/b.py": b""}))
    with pytest.raises(UsageError, match=r"not a zip archive|is not an interview kit") as caught:
        begin(zipped)
    assert caught.value.tip
    assert [p.name for p in zipped.parent.iterdir()] == ["ada-l.zip"]
