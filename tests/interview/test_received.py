"""A folder of submissions: what each candidate has handed in, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import OrdinaryUser, write_tree
from interview.test_archive import bomb, measured

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.interview import archive, handin, manifest
from archprep.interview.kit import make
from archprep.interview.model import Kit, KitExercise, Received
from archprep.interview.received import FORGED, NOT_CHECKED, scan
from archprep.workspace import submission
from archprep.workspace.folder import MARKER, start_workspace

NOW = datetime.now(UTC).replace(microsecond=0)
MADE = NOW - timedelta(hours=1)


@pytest.fixture
def inbox(content: Path, home: Path, tmp_path: Path) -> Path:
    """Where submissions arrive; the catalog has q1 and q3."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path


def scanned(inbox: Path) -> list[Received]:
    return scan(inbox, inbox.with_name("work"))


def only(inbox: Path) -> Received:
    [one] = scanned(inbox)
    return one


def kit(tmp_path: Path, name: str = "Alice Ng", made: datetime = MADE, ids: str = "q1,q3") -> Path:
    """The folder of a kit as a candidate has it."""
    exercises = [catalog.get(one) for one in ids.split(",")]
    out = tmp_path / "kits" / f"{len(list(tmp_path.glob('kits/*')))}"
    [kit] = make(exercises, [name], 120, out, made_at=made.isoformat())
    with zipfile.ZipFile(kit.path) as zipped:
        zipped.extractall(out)
    [folder] = [path for path in out.iterdir() if path.is_dir()]
    return folder


def zipped(folder: Path, target: Path, at: datetime = NOW) -> Path:
    """A folder handed in as a zip, received at a time."""
    with zipfile.ZipFile(target, "w") as made:
        for path in sorted(folder.rglob("*")):
            made.write(path, path.relative_to(folder.parent))
    os.utime(target, (at.timestamp(), at.timestamp()))
    return target


def raw(target: Path, **files: str | bytes) -> Path:
    with zipfile.ZipFile(target, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return target


def altered(folder: Path, **changes: object) -> None:
    """The manifest with another kit, under the old signature."""
    path = folder / manifest.NAME
    data = json.loads(path.read_text())
    data["kit"].update(changes)
    path.write_text(json.dumps(data))


def report(folder: Path, **values: object) -> None:
    (folder / handin.REPORTED).write_text(json.dumps({"format": 1, **values}))


def started(name: str, folder: Path) -> Path:
    return start_workspace(catalog.get(name), folder).path


# ------------------------------------------------------------------ what is sound


def test_a_kit_in_a_zip(inbox, tmp_path) -> None:
    """Name, parts and receipt; the parts can be frozen; nothing is flagged."""
    path = zipped(kit(tmp_path), inbox / "x.zip")
    one = only(inbox)
    assert (one.name, one.slug, one.source, one.problem) == ("Alice Ng", "alice-ng", "x.zip", None)
    assert one.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert one.received_at == NOW.isoformat()
    assert one.flags == ()
    assert one.kit
    assert [part.exercise for part in one.parts] == ["q1", "q3"]
    for part in one.parts:
        stage = tmp_path / part.exercise
        names = [f.path for f in submission.freeze(part.directory, catalog.get("q1"), stage).files]
        assert names == ["DISCUSSION.md", "answer.py", "test_examples.py"]


def test_a_kit_in_a_folder_is_read_in_place(inbox, tmp_path) -> None:
    shutil.copytree(kit(tmp_path), inbox / "handed in")
    one = only(inbox)
    assert (one.name, one.source, one.problem) == ("Alice Ng", "handed in", None)
    assert one.parts[0].directory == inbox / "handed in" / "q01_event_bus"
    assert not (tmp_path / "work").exists()


def test_a_kit_one_level_down(inbox, tmp_path) -> None:
    shutil.copytree(kit(tmp_path), inbox / "mail" / "alice-ng")
    (inbox / "mail" / "letter.txt").write_text("Hello")
    assert only(inbox).parts[1].directory == inbox / "mail" / "alice-ng" / "q03_rate_limiting"


def test_what_submit_has_made(inbox, tmp_path) -> None:
    """The whole way: begun, submitted, received; its times are kept as reported."""
    folder = kit(tmp_path)
    handin.begin(folder)
    made = handin.submit(folder).path
    shutil.copy(made, inbox)
    one = only(inbox)
    assert (one.name, one.problem, one.flags) == ("Alice Ng", None, ())
    assert set(one.reported) == {"begun_at", "submitted_at", "files", "edited"}
    assert "q01_event_bus/answer.py" in one.reported["files"]
    assert one.reported["edited"].keys() == one.reported["files"].keys()


def test_a_kit_that_was_worked_on_with_tools(inbox, tmp_path) -> None:
    """Environments, repositories and caches are passed over, and so are their links."""
    folder = kit(tmp_path)
    write_tree(folder, {".git/config": "", "q01_event_bus/__pycache__/a.pyc": "", "big.bin": "x"})
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    zipped(folder, inbox / "a.zip")
    shutil.copytree(folder, inbox / "b", symlinks=True)
    [last] = scanned(inbox)
    assert (last.problem, len(last.superseded)) == (None, 1)
    unpacked = {p.name for p in (tmp_path / "work").rglob("*")}
    assert not unpacked & {".git", ".venv", "__pycache__", "big.bin", "README.md"}


@pytest.mark.parametrize("inner", ["", "mine"])
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_workspace_of_one_exercise(inbox, tmp_path, inner, form) -> None:
    """By its marker, at the top or one level down; named after what was handed in."""
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
    assert [part.exercise for part in one.parts] == ["q3"]
    assert (one.parts[0].directory / "answer.py").is_file()


def test_a_workspace_without_its_marker(inbox, content) -> None:
    """It is enough that it has the files of exactly one exercise."""
    path = content / "exercises" / "q03_rate_limiting"
    (path / "exercise.yaml").write_text(
        (path / "exercise.yaml").read_text().replace("answer.py", "limit.py")
    )
    (path / "starter" / "answer.py").rename(path / "starter" / "limit.py")
    raw(inbox / "bob.zip", **{"limit.py": "x = 1\n", ".hidden": "", "__MACOSX/x.py": ""})
    assert [part.exercise for part in only(inbox).parts] == ["q3"]


def test_the_digest_of_a_folder_is_that_of_its_code(inbox) -> None:
    """Any change of what may be graded changes it; what never is does not."""
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


def test_the_digest_of_a_large_file_is_that_of_its_beginning_and_size(inbox) -> None:
    """Nobody waits for a hash of what is refused anyway; another size is another submission."""
    digests = set()
    for size in (2**30, 2**31, 2**40):
        with (inbox / "alice.zip").open("wb") as file:
            file.truncate(size)  # sparse
        digests.add(only(inbox).digest)
    assert len(digests) == 3


# ------------------------------------------------------------------ who and which


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
    assert theirs.parts


def test_a_signature_that_cannot_be_checked(inbox, tmp_path, home) -> None:
    """Without the key the name stands, and says that nobody vouches for it."""
    zipped(kit(tmp_path, "Alice"), inbox / "x.zip")
    (home / manifest.KEY).unlink()
    one = only(inbox)
    assert (one.name, one.flags) == ("Alice", (NOT_CHECKED,))
    assert not (home / manifest.KEY).exists()


def test_a_kit_signed_with_another_key(inbox, tmp_path, home) -> None:
    zipped(kit(tmp_path, "Alice"), inbox / "x.zip")
    (home / manifest.KEY).unlink()
    manifest.key(create=True)
    one = only(inbox)
    assert (one.name, one.flags) == ("x", (FORGED,))


@pytest.mark.parametrize("signature", [None, 1, "", "\ud800", "z" * 64, ["x"], "0" * 64])
def test_signatures_that_are_none(inbox, tmp_path, signature) -> None:
    folder = kit(tmp_path)
    data = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(json.dumps({**data, "signature": signature}))
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (FORGED,)


def test_exercises_of_another_version_or_unknown(inbox, tmp_path, content) -> None:
    """What is known is graded; the rest is told."""
    zipped(kit(tmp_path), inbox / "x.zip")
    path = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 2"))
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    one = only(inbox)
    assert one.flags == (
        "q1 was handed out in version 1 and is graded as version 2",
        "not graded: q3, an exercise that this archprep does not have",
    )
    assert [part.exercise for part in one.parts] == ["q1"]


def test_a_workspace_of_another_version_or_unknown(inbox, content) -> None:
    for name in ("q1", "q3"):
        started(name, inbox / name)
    path = content / "exercises" / "q01_event_bus" / "exercise.yaml"
    path.write_text(path.read_text().replace("version: 1", "version: 2"))
    for kind in ("exercises", "solutions", "graders"):
        shutil.rmtree(content / kind / "q03_rate_limiting")
    first, third = scanned(inbox)
    assert first.flags == ("q1 was handed out in version 1 and is graded as version 2",)
    assert third.problem
    assert third.problem.startswith("q3 is a workspace of q3, an exercise that this archprep")


def test_an_exercise_that_is_missing_is_asked_for_all_the_same(inbox, tmp_path, exercise) -> None:
    """It is flagged, and a part that cannot be frozen: it does not raise the candidate's share."""
    folder = kit(tmp_path)
    shutil.rmtree(folder / "q01_event_bus")
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert one.flags == ("q1 is missing: there is no folder q01_event_bus",)
    assert [part.exercise for part in one.parts] == ["q1", "q3"]
    with pytest.raises(UsageError, match=r"answer\.py is missing from"):
        submission.freeze(one.parts[0].directory, exercise, tmp_path / "stage")


def test_an_exercise_under_another_name_is_found_by_its_marker(inbox, tmp_path) -> None:
    folder = kit(tmp_path)
    (folder / "q01_event_bus").rename(folder / "my bus")
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert (one.flags, one.parts[0].directory.name) == ((), "my bus")


# ------------------------------------------------------------------ late


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("times", "flags"),
    [
        ({"begun_at": ago(50), "submitted_at": ago(0)}, []),
        ({"begun_at": ago(250), "submitted_at": ago(130)}, []),
        (
            {"begun_at": ago(250), "submitted_at": ago(118)},
            ["late by 12 min (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(250), "submitted_at": ago(129.9)},
            ["late by 1 min (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(250)},
            ["late by 130 min (by receipt, its beginning reported by the candidate)"],
        ),
        ({}, ["late by at most 180 min (by receipt: its beginning is not reported)"]),
        (
            {"begun_at": ago(400), "submitted_at": ago(300)},
            ["begun before the kit was made (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(-30), "submitted_at": ago(-20)},
            [
                "handed in after it was received (reported by the candidate)",
                "handed in before it was begun (reported by the candidate)",
            ],
        ),
    ],
)
def test_lateness_says_who_says_so(inbox, tmp_path, times, flags) -> None:
    """The kit lasts 120 min and was made 300 min before it was received."""
    folder = kit(tmp_path, made=NOW - timedelta(minutes=300))
    report(folder, **times)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert list(one.flags) == flags
    assert one.reported == {k: v.replace("Z", "+00:00") for k, v in times.items()}


def test_in_time_by_receipt_alone(inbox, tmp_path) -> None:
    """Received before the time was over since the kit was made: nothing need be reported."""
    zipped(kit(tmp_path, made=NOW - timedelta(minutes=119)), inbox / "x.zip")
    assert only(inbox).flags == ()


def test_the_clock_of_begin_counts_in_a_folder_zipped_by_hand(inbox, tmp_path) -> None:
    folder = kit(tmp_path, made=NOW - timedelta(minutes=300))
    (folder / handin.CLOCK).write_text(json.dumps({"begun_at": ago(130)}))
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (
        "late by 10 min (by receipt, its beginning reported by the candidate)",
    )


def test_files_changed_after_submit(inbox, tmp_path) -> None:
    """Also files that are gone; the first few are named."""
    folder = kit(tmp_path)
    sums = {f"q01_event_bus/{n}": "0" * 64 for n in ("answer.py", "b.py", "c.py", "d.py")}
    report(folder, begun_at=ago(50), submitted_at=ago(0), files=sums)
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (
        (
            "changed after `archprep submit`: q01_event_bus/answer.py, q01_event_bus/b.py, "
            "q01_event_bus/c.py and 1 more"
        ),
    )


@pytest.mark.parametrize("seconds", [4e9, 9e11, -1e9])
def test_a_receipt_that_cannot_be(inbox, tmp_path, seconds) -> None:
    """To come, or before computers: it is told or taken, never a crash."""
    path = zipped(kit(tmp_path), inbox / "x.zip")
    os.utime(path, (seconds, seconds))
    one = only(inbox)
    assert datetime.fromisoformat(one.received_at) <= datetime.now(UTC)
    assert any("lies in the future" in flag for flag in one.flags) == (seconds > 0)


# ------------------------------------------------------------------ what may be anything


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"files": 1, "edited": [], "begun_at": {}, "submitted_at": 1e999}',
        '{"begun_at": "9999-12-31T23:59:59-23:59", "submitted_at": "0001-01-01T00:00:00+23:59"}',
        '{"begun_at": "2026-01-01T00:00:00"}',
        '{"begun_at": "' + "9" * 5000 + '"}',
        '{"begun_at": ' + "9" * 5000 + "}",
        '{"files": {"a": 1, "b": null, "c": ["x"]}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "\x00\xff",
        "x" * 600_000,
    ],
)
def test_a_report_may_hold_anything(inbox, tmp_path, text) -> None:
    """It is the candidate's; what cannot be understood is as if it were not there."""
    folder = kit(tmp_path)
    (folder / handin.REPORTED).write_text(text)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert (one.problem, one.flags, one.reported) == (None, (), {})


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
def test_a_manifest_may_hold_anything(inbox, tmp_path, text) -> None:
    """Then there is no knowing what was asked for: the row says what is wrong."""
    folder = kit(tmp_path)
    (folder / manifest.NAME).write_text(text)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert one.problem
    assert manifest.NAME in one.problem
    assert (one.name, one.parts) == ("x", ())


def test_a_kit_of_a_newer_format(inbox, tmp_path) -> None:
    folder = kit(tmp_path)
    altered(folder, format=2)
    zipped(folder, inbox / "x.zip")
    assert "made by a newer archprep" in str(only(inbox).problem)


@pytest.mark.parametrize("folder", ["../q1", "/etc", "q01_event_bus/..", "a/b", "..", ".", ""])
def test_a_manifest_does_not_lead_elsewhere(inbox, tmp_path, folder) -> None:
    """Also where nobody can check the signature."""
    data = kit(tmp_path)
    one = dataclasses.asdict(KitExercise("q1", folder, 1, "0" * 64))
    altered(data, exercises=[one])
    zipped(data, inbox / "x.zip")
    got = only(inbox)
    assert got.problem
    assert got.parts == ()


HOSTILE = "\x1b[2J\x1b]0;x\x07[bold]A\u202eb\u200b\r\n<script>\ud800"


def test_every_text_is_clean(inbox, tmp_path, home) -> None:
    """Names of files and candidates, what is reported, problems and flags."""
    key = manifest.key(create=True)
    assert key
    exercise = KitExercise("q1", "q01_event_bus", 1, "0" * 64)
    hostile = Kit(HOSTILE, 120, MADE.isoformat(), HOSTILE, (exercise,))
    (home / manifest.KEY).unlink()
    files = json.dumps({"files": {HOSTILE: HOSTILE}, "edited": {HOSTILE: HOSTILE}})
    source = "na\x1b[31mme\n\u202e<b>.zip"
    raw(
        inbox / source,
        **{manifest.NAME: manifest.dumps(hostile, key), handin.REPORTED: files},
        **{"q01_event_bus/answer.py": ""},
    )
    if sys.platform == "linux":  # elsewhere a name must be UTF-8
        (inbox / os.fsdecode(b"bad\xff\x1b[2J.zip")).write_bytes(b"PK")
    for one in scanned(inbox):
        texts = [one.name, one.source, one.problem or "", *one.flags]
        for mapping in (one.reported.get("files", {}), one.reported.get("edited", {})):
            texts += [*mapping, *mapping.values()]
        assert all(text.isprintable() for text in texts), texts
        assert "\x1b" not in repr(one).replace("\\x1b", "\x1b").replace(str(tmp_path), "")
        assert set(one.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert one.slug


# ------------------------------------------------------------------ broken entries


def test_a_broken_entry_never_ends_the_scan(inbox, tmp_path) -> None:
    """One row each, beside those that are sound."""
    zipped(kit(tmp_path), inbox / "alice.zip")
    (inbox / "text.zip").write_text("no zip")
    (inbox / "cut.zip").write_bytes((inbox / "alice.zip").read_bytes()[:-30])
    (inbox / "old.tar.gz").write_bytes(b"\x1f\x8b" + b"x" * 100)
    (inbox / "notes.txt").write_text("remember")
    (inbox / "link.zip").symlink_to("alice.zip")
    (inbox / "away").symlink_to("/etc")
    os.mkfifo(inbox / "pipe.zip")
    (inbox / "empty").mkdir()
    raw(inbox / "nothing.zip")
    raw(inbox / "other.zip", **{"thesis.txt": "x"})
    raw(inbox / "evil.zip", **{"../x.py": "x"})
    raw(inbox / "nested.zip", **{"alice.zip": (inbox / "alice.zip").read_bytes()})
    (inbox / ".hidden.zip").write_text("x")
    (inbox / "__MACOSX").mkdir()
    rows = {one.source: one for one in scanned(inbox)}
    problems = {name: one.problem for name, one in rows.items() if one.problem}
    neither = "holds neither archprep-kit.json nor the workspace of one exercise."
    expected = {
        "text.zip": "text.zip is no zip archive.",
        "cut.zip": "cut.zip is damaged",
        "old.tar.gz": "old.tar.gz is no zip archive: it looks like tar.",
        "notes.txt": "notes.txt is no zip archive.",
        "link.zip": "link.zip is a link.",
        "away": "away is a link.",
        "pipe.zip": "pipe.zip is neither a file nor a folder.",
        "empty": f"empty {neither}",
        "nothing.zip": f"nothing.zip {neither}",
        "other.zip": f"other.zip {neither}",
        "evil.zip": "evil.zip is refused: ../x.py leads out of its folder.",
        "nested.zip": f"nested.zip {neither}",
    }
    assert problems.keys() == expected.keys()
    assert all(problems[name].startswith(text) for name, text in expected.items()), problems
    assert [name for name, one in rows.items() if not one.problem] == ["alice.zip"]
    assert not any(one.parts for one in rows.values() if one.problem)
    assert len({one.slug for one in rows.values()}) == len(rows)


def test_what_else_lies_beside_a_submission_does_not_displace_it(inbox) -> None:
    """Some systems put alice.txt beside alice.zip."""
    started("q1", inbox / "alice")
    (inbox / "alice.txt").write_text("received on Monday")
    os.utime(inbox / "alice", (1, 1))
    good, bad = scanned(inbox)
    assert (good.source, good.problem, good.superseded) == ("alice", None, ())
    assert (bad.source, bad.slug) == ("alice.txt", "alice-2")


def test_links_in_a_folder_lead_nowhere(inbox, tmp_path) -> None:
    """Case 56: a kit, an exercise, a manifest or a marker that is a link is refused or ignored."""
    real = kit(tmp_path)
    shutil.copytree(real, inbox / "a")
    shutil.rmtree(inbox / "a" / "q01_event_bus")
    (inbox / "a" / "q01_event_bus").symlink_to(real / "q01_event_bus")
    shutil.copytree(real, inbox / "b")
    (inbox / "b" / manifest.NAME).unlink()
    (inbox / "b" / manifest.NAME).symlink_to(real / manifest.NAME)
    (inbox / "c").mkdir()
    (inbox / "c" / "kit").symlink_to(real)
    (inbox / "d").mkdir()
    (inbox / "d" / MARKER).symlink_to(real / "q01_event_bus" / MARKER)
    problems = [one.problem for one in scanned(inbox)]
    assert problems[0].startswith("q01_event_bus is a link.")
    assert problems[1].startswith("b cannot be read:")
    assert problems[2].startswith("c holds neither")
    assert problems[3].startswith("d holds neither")


def test_a_link_inside_a_workspace_is_left_to_freezing(inbox, tmp_path, exercise) -> None:
    """Which refuses it: for this submission alone."""
    folder = started("q1", inbox / "alice")
    (folder / "passwd").symlink_to("/etc/passwd")
    one = only(inbox)
    assert one.problem is None
    with pytest.raises(UsageError, match="passwd is a link"):
        submission.freeze(one.parts[0].directory, exercise, tmp_path / "stage")


@pytest.mark.parametrize("what", [manifest.NAME, handin.REPORTED, MARKER])
def test_pipes_are_not_waited_for(inbox, tmp_path, what) -> None:
    folder = kit(tmp_path)
    shutil.copytree(folder, inbox / "a")
    (inbox / "a" / what).unlink(missing_ok=True)
    os.mkfifo(inbox / "a" / what)
    one = only(inbox)
    assert bool(one.problem) == (what == manifest.NAME)


def test_several_kits_or_workspaces_in_one(inbox, tmp_path) -> None:
    """Nobody can say which of them counts."""
    for name in ("one", "two"):
        shutil.copytree(kit(tmp_path), inbox / "kits" / name)
        started("q1", inbox / "works" / name)
    kits, works = scanned(inbox)
    assert str(kits.problem).startswith("kits holds 2 kits.")
    assert str(works.problem).startswith("works holds 2 workspaces and no archprep-kit.json.")


def test_folders_without_bounds(inbox, monkeypatch) -> None:
    """Case 35: too many entries, files or levels; each is one row, soon."""
    monkeypatch.setattr(archive, "MAX_ENTRIES", 50)
    monkeypatch.setattr(archive, "MAX_WRITTEN", 20)
    for name, count, extension in (("entries", 60, "txt"), ("files", 30, "py")):
        started("q1", inbox / name)
        for number in range(count):
            (inbox / name / f"x{number}.{extension}").touch()
    deep = started("q1", inbox / "deep")
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    found = {one.source: one.problem for one in scanned(inbox)}
    assert found["entries"].startswith("entries holds more than 50 files and folders.")
    assert found["files"].startswith("files holds more than 20 files of code.")
    assert found["deep"] is None  # freezing refuses it


def test_what_cannot_be_read_is_one_row(theirs, user: OrdinaryUser, monkeypatch) -> None:
    """Somebody else's file or folder among them."""
    monkeypatch.setenv("ARCHPREP_HOME", str(user.folder / "home"))
    inbox = user.folder / "inbox"
    started("q1", inbox / "good")
    started("q1", inbox / "shut")
    (inbox / "shut.zip").write_bytes(b"PK")
    user.become()
    (inbox / "shut").chmod(0)
    (inbox / "shut.zip").chmod(0)
    good, *shut = scan(inbox, user.folder / "work")
    assert good.problem is None
    assert [one.problem.endswith("Permission denied.") for one in shut] == [True]


def test_a_source_of_50_mb(inbox, tmp_path, exercise) -> None:
    """Case 61: in a zip it is refused unpacked, in a folder when it is frozen."""
    text = b"x = 1\n" * (50 * 2**20 // 6)
    folder = started("q1", inbox / "folder")
    (folder / "answer.py").write_bytes(text)
    with zipfile.ZipFile(inbox / "zip.zip", "w") as made:  # not even a bomb
        made.writestr("answer.py", text)
    in_folder, in_zip = scanned(inbox)
    assert str(in_zip.problem).startswith("zip.zip holds more than 32 MiB once unpacked.")
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        submission.freeze(in_folder.parts[0].directory, exercise, tmp_path / "stage")


def test_nothing_of_a_submission_is_run(inbox, tmp_path) -> None:
    """Case 62: build files and start-up hooks are data; those that are no code are not unpacked."""
    folder = kit(tmp_path)
    payload = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    hooks = ["setup.py", "conftest.py", "sitecustomize.py", "json.py", "requirements.txt"]
    for place in ("", "q01_event_bus/"):
        write_tree(folder, {f"{place}{name}": payload for name in hooks})
        write_tree(folder, {f"{place}pyproject.toml": "[build-system]\n", f"{place}x.pth": payload})
    zipped(folder, inbox / "x.zip")
    shutil.copytree(folder, inbox / "y")
    assert [one.problem for one in scanned(inbox)] == [None]
    assert not (tmp_path / "ran").exists()
    names = {path.name for path in (tmp_path / "work").rglob("*")}
    assert not names & {"requirements.txt", "pyproject.toml", "x.pth"}


# ------------------------------------------------------------------ the folder itself


def told(inbox: Path) -> str:
    with pytest.raises(UsageError) as caught:
        scanned(inbox)
    assert caught.value.tip
    return caught.value.message


def test_a_folder_that_is_not_there(inbox) -> None:
    assert "cannot be read: No such file" in told(inbox / "typo")


def test_a_file_in_place_of_the_folder(inbox) -> None:
    (inbox / "a.zip").touch()
    assert "cannot be read: Not a directory" in told(inbox / "a.zip")


def test_an_empty_folder(inbox) -> None:
    """Hidden files do not count."""
    (inbox / ".DS_Store").touch()
    assert told(inbox).endswith("holds no submissions: there is nothing.")


def test_a_folder_of_other_things(inbox) -> None:
    write_tree(inbox, {"notes.txt": "", "thesis/chapter.tex": "", "src/main.py": ""})
    assert "holds no submissions: there is neither a kit nor a workspace" in told(inbox)


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

    monkeypatch.setattr(archive, "unpack", full)
    assert "No space left" in told(inbox)


# ------------------------------------------------------------------ scale


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
from archprep.interview.received import scan
begun, before = time.perf_counter(), peak()
found = scan(Path(sys.argv[1]), Path(sys.argv[2]))
took, grown = time.perf_counter() - begun, peak() - before
print(took, grown, f"{len(found)} {sum(one.problem is None for one in found)}", sep="|")
"""
    took, grown, said = measured(inbox, tmp_path / "work", program=program)
    assert said == "101 90"
    assert took < 5
    assert grown < 24
