"""Each candidate gets a kit of their own: all kits are written, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interview.kits.kit_samples import make, members, refusal

from archprep.core.errors import UsageError
from archprep.interview.kits import manifest, signing_key
from archprep.interview.kits.make_kits import chosen_exercises

if TYPE_CHECKING:
    from conftest import OrdinaryUser


def test_each_candidate_gets_a_kit_of_their_own(out) -> None:
    """File names are plain ASCII, transliterated, and numbered where two would be the same."""
    names = ["Ann Lee", "ann-lee", "Ænne  Łuck", "李雷", "韩梅", "O'Hara, Zoë"]
    paths = make(out, *names)
    assert [path.name for path in paths] == [
        "ann-lee.zip", "ann-lee-2.zip", "aenne-luck.zip", "lilei.zip", "hanmei.zip",
        "o-hara-zoe.zip",
    ]  # fmt: skip
    names_in_manifests = [
        manifest.loads(members(p)["archprep-kit.json"].decode())[0].candidate for p in paths
    ]
    assert names_in_manifests == ["Ann Lee", "ann-lee", "Ænne Łuck", "李雷", "韩梅", "O'Hara, Zoë"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["Ada", "Bob", "ADA "], "more than once: Ada, ADA"),
        (["Ada", " \xa0"], "no name"),
        (["Ada", "a\nb"], "cannot be a candidate's name"),
        (["Ada", "\x1b[2Jx"], "cannot be a candidate's name"),
        (["Ada", "x\u202ey"], "cannot be a candidate's name"),
        (["Ada", "x" * 101], "cannot be a candidate's name"),
    ],
)
def test_names_are_checked_before_anything_is_written(out, home, names, says) -> None:
    """Not even the signing key is made."""
    assert says in refusal(out, *names)
    assert not out.exists()
    assert not home.exists()


def test_existing_files_are_never_overwritten(out) -> None:
    """If one kit exists, none is written."""
    (first,) = make(out, "Bob")
    before = first.read_bytes()
    assert "bob.zip already exists" in refusal(out, "Ada", "Bob")
    assert [path.name for path in out.iterdir()] == ["bob.zip"]
    (out / "eve.zip").symlink_to("nowhere")
    assert "bob.zip and 1 more already exist" in refusal(out, "Bob", "Eve")
    assert first.read_bytes() == before


def test_a_full_disk_leaves_no_kits_behind(out, monkeypatch) -> None:
    """Neither half a zip nor the zips before it."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    signing_key.load_or_create()
    monkeypatch.setattr(os, "fsync", fsync)
    assert "No space left" in refusal(out, "Ada", "Bob", "Eve", "Joe")
    assert list(out.iterdir()) == []


def test_an_unwritable_folder_is_refused(theirs, user: OrdinaryUser, monkeypatch) -> None:
    """Also a file in place of the folder."""
    monkeypatch.setenv("ARCHPREP_HOME", str(user.folder / "home"))
    user.become()
    assert "cannot be written" in refusal(Path("/proc/kits"), "Ada")
    (user.folder / "file").write_text("")
    assert "cannot be written" in refusal(user.folder / "file", "Ada")


@pytest.mark.parametrize("ids", ["", "q1,", "q1,,q3", ","])
def test_an_empty_item_in_questions_is_refused(content, ids) -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match="--questions"):
        chosen_exercises(ids)


def test_questions_may_name_their_tasks(content) -> None:
    """A number after a comma is a task of the exercise before it."""
    asked = [(e.id, e.selection) for e in chosen_exercises("q1:1,q3")]
    assert asked == [("q1", (1,)), ("q3", ())]
    assert [e.id for e in chosen_exercises("q1:1,2,q3:1-")] == ["q1", "q3"]
    with pytest.raises(UsageError) as caught:
        chosen_exercises("q1:2,q3")
    assert caught.value.tip == "To fix: --questions q1:1,2"


def test_questions_are_named_once_and_keep_their_order(content) -> None:
    """Any name of an exercise works, but each exercise may appear once."""
    assert [e.id for e in chosen_exercises(" q3, event_bus")] == ["q3", "q1"]
    with pytest.raises(UsageError, match="q1 twice"):
        chosen_exercises("q1,q3,1")
    with pytest.raises(UsageError, match="no exercise 'q7'"):
        chosen_exercises("q1,q7")


@pytest.mark.parametrize("minutes", [0, -1, 10**9])
def test_minutes_out_of_range_are_refused(out, minutes) -> None:
    """The message gives the range."""
    with pytest.raises(UsageError, match="--minutes must be"):
        make(out, "Ada", minutes=minutes)
