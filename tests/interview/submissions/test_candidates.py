"""A candidate is a signed kit: names decide nothing, and no one's work displaces another's."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from interview.submissions.inbox import NOW, kit, only, report, scanned, started, zipped

from archprep.interview.kits import manifest, signing_key
from archprep.interview.kits.people import appearance
from archprep.interview.submissions.scan import scan


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


def submitted(folder: Path, target: Path, minutes: float, begun: str | None = ago(50)) -> Path:
    """A zip as `archprep submit` makes it, this many minutes ago; each has other bytes."""
    report(folder, begun_at=begun, submitted_at=ago(minutes))
    return zipped(folder, target)


def received(path: Path, minutes: float) -> None:
    at = NOW.timestamp() - 60 * minutes
    os.utime(path, (at, at))


@pytest.mark.parametrize("order", ["cp", "reversed", "equal"])
def test_the_last_submission_of_a_kit_counts(inbox, tmp_path, order) -> None:
    """By what was reported, whatever the times of the files became when they were copied."""
    folder = kit(tmp_path)
    made = {"b.zip": 30, "c.zip": 10, "a.zip": 20}
    paths = [submitted(folder, inbox / name, minutes) for name, minutes in made.items()]
    times = {"cp": (0, 0.1, 0.2), "reversed": (9, 25, 1), "equal": (5, 5, 5)}[order]
    for path, minutes in zip(paths, times, strict=True):
        received(path, minutes)
    one = only(inbox)
    assert (one.source, one.superseded) == ("c.zip", ("b.zip", "a.zip"))


def test_a_report_that_contradicts_receipt_is_flagged(inbox, tmp_path) -> None:
    """What was submitted last was received well before what it replaces."""
    folder = kit(tmp_path)
    submitted(folder, inbox / "a.zip", 30)
    received(submitted(folder, inbox / "b.zip", 20), 15)
    assert only(inbox).flags == (
        "submitted last (reported by the candidate), but received before what it replaces",
    )


def test_a_submission_from_the_future_replaces_nothing(inbox, tmp_path) -> None:
    """Its time cannot be right: both are graded."""
    folder = kit(tmp_path)
    submitted(folder, inbox / "a.zip", 30)
    submitted(folder, inbox / "b.zip", -600)
    assert [one.superseded for one in scanned(inbox)] == [(), ()]


def test_without_begin_the_name_of_the_file_says_who_sent_it(inbox, tmp_path) -> None:
    """Numbers that `submit` and browsers add do not matter; another name is another row."""
    folder = kit(tmp_path)
    names = ["al-submission", "al-submission-2", "al-submission (1)", "mallory"]
    for number, name in enumerate(names):
        submitted(folder, inbox / f"{name}.zip", 30 - number, begun=None)
    al, mallory = scanned(inbox)
    assert (al.source, len(al.superseded)) == ("al-submission (1).zip", 2)
    assert (mallory.source, mallory.superseded) == ("mallory.zip", ())


@pytest.mark.parametrize("begun", [ago(40), None], ids=["begun", "not begun"])
def test_a_replayed_manifest_displaces_nothing(inbox, tmp_path, begun) -> None:
    """It is genuine, but its sender began at another time: both are graded and flagged."""
    alice = kit(tmp_path, "Alice")
    submitted(alice, inbox / "alice-submission.zip", 30)
    mallory = kit(tmp_path, "Mallory")
    shutil.copy(alice / manifest.NAME, mallory / manifest.NAME)
    submitted(mallory, inbox / "alice-submission-2.zip", 10, begun)
    flags = {one.source: one.flags for one in scanned(inbox)}
    assert flags == {
        "alice-submission.zip": ("same kit as alice-submission-2.zip: compare who sent which",),
        "alice-submission-2.zip": ("same kit as alice-submission.zip: compare who sent which",),
    }


def test_kits_zipped_by_hand_are_all_graded(inbox, tmp_path) -> None:
    """Nothing says which is the last; only a copy with the same bytes is one row."""
    folder = kit(tmp_path)
    zipped(folder, inbox / "a.zip", NOW - timedelta(minutes=9))
    shutil.copy(inbox / "a.zip", inbox / "b.zip")
    (folder / "q01_event_bus" / "answer.py").write_text("x = 1\n")
    zipped(folder, inbox / "c.zip")
    assert [(one.source, one.superseded) for one in scanned(inbox)] == [
        ("b.zip", ("a.zip",)),
        ("c.zip", ()),
    ]


ALIKE = ["Alice", "alice ", "ALICE", "\u0410lice", "Al\u200bice", "Alic\u00e9", "Alice\u0301"]


def test_like_names_are_several_candidates_and_flagged(inbox, tmp_path) -> None:
    """Case, blanks, accents, zero-width characters, look-alikes, and two people of one name."""
    for number, name in enumerate([*(n for n in ALIKE if "\u200b" not in n), "Alice", "Bob"]):
        zipped(kit(tmp_path, name), inbox / f"{number}.zip")
    for name in ("alice", "alice ", "Al\u200bice", "Ali\u0441e"):
        started("q1", inbox / name)
    rows = scanned(inbox)
    alike = [one for one in rows if one.name != "Bob"]
    assert len(alike) == len(rows) - 1 == len(ALIKE) + 4
    assert len({one.slug for one in rows}) == len(rows)
    assert not any(one.superseded for one in rows)
    assert {any("same or similar name as" in flag for flag in one.flags) for one in alike} == {True}
    assert [one.flags for one in rows if one.name == "Bob"] == [()]


@pytest.mark.parametrize("name", ALIKE)
def test_like_names_have_one_appearance(name) -> None:
    """As a reader sees them; other names have another."""
    assert appearance(name) == appearance("Alice") != appearance("Alina")


def test_workspaces_without_a_kit_are_never_merged(inbox) -> None:
    """Nothing but a name connects them."""
    for name in ("bob", "Bob", "bob "):
        started("q1", inbox / name)
    assert [(one.name, one.superseded) for one in scanned(inbox)] == [
        ("Bob", ()),
        ("bob", ()),
        ("bob", ()),
    ]


def test_a_broken_resubmission_does_not_displace_work(inbox, tmp_path) -> None:
    """Both are shown: the good one is graded."""
    folder = kit(tmp_path)
    path = submitted(folder, inbox / "a.zip", 30)
    (inbox / "b.zip").write_bytes(path.read_bytes()[:-40])
    good, bad = scanned(inbox)
    assert (good.problem, bool(bad.problem)) == (None, True)


def test_kits_of_earlier_versions_keep_working(inbox, tmp_path) -> None:
    """Their signature, which no other kit has, stands in for the id that they lack."""
    key = signing_key.load_or_create()
    for name in ("Ada", "Bob"):
        folder = kit(tmp_path, name)
        data = json.loads((folder / manifest.NAME).read_text())
        del data["kit"]["id"], data["kit"]["python"]
        made, _ = manifest.loads(json.dumps(data))
        data["signature"] = json.loads(manifest.dumps(made, key))["signature"]
        (folder / manifest.NAME).write_text(json.dumps(data))
        submitted(folder, inbox / f"{name}-1.zip", 30)
        submitted(folder, inbox / f"{name}-2.zip", 20)
    assert [(one.name, one.flags, one.superseded) for one in scanned(inbox)] == [
        ("Ada", (), ("Ada-1.zip",)),
        ("Bob", (), ("Bob-1.zip",)),
    ]


def test_candidates_keep_their_slugs(inbox, tmp_path) -> None:
    """Results and marks stay with a person when someone whose name sorts before comes in."""
    folder = kit(tmp_path, "Alice")
    submitted(folder, inbox / "m.zip", 30)
    started("q1", inbox / "n alice")
    first = scanned(inbox)
    assert [one.slug for one in first] == ["alice", "n-alice"]
    zipped(kit(tmp_path, "ALICE"), inbox / "a.zip")
    submitted(folder, inbox / "z.zip", 20)
    (inbox / "m.zip").rename(inbox / "renamed.zip")
    (inbox / "n alice" / "answer.py").write_text("x = 1\n")
    again = scan(inbox, tmp_path / "again", first)
    assert {one.source: one.slug for one in again} == {
        "a.zip": "alice-2",
        "z.zip": "alice",
        "n alice": "n-alice",
    }
    (inbox / "renamed.zip").unlink()
    (inbox / "z.zip").unlink()
    submitted(folder, inbox / "b.zip", 10)
    last = scan(inbox, tmp_path / "last", again)
    assert {one.source: one.slug for one in last} == {
        "a.zip": "alice-2",
        "b.zip": "alice",
        "n alice": "n-alice",
    }
