"""A kit holds what a candidate needs, says so under a signature, and betrays nothing."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from conftest import OrdinaryUser, write_tree
from typer.testing import CliRunner

from archprep.cli import interview
from archprep.content import catalog, exercise_files
from archprep.core.errors import UsageError
from archprep.core.model import Exercise
from archprep.interview import kit as kits
from archprep.interview import manifest
from archprep.interview.model import Kit, KitExercise, KitLimits
from archprep.workspace.folder import MARKER, start_workspace

MADE_AT = "2026-03-02T09:00:00+00:00"
KEY = bytes(32)
KIT = Kit("Ada", 90, MADE_AT, "0.1", (KitExercise("q1", "q01_event_bus", 1, "ab" * 32),))


@pytest.fixture
def out(content: Path, home: Path, tmp_path: Path) -> Path:
    """Where kits go; it does not exist yet. There is a catalog with q1 and q3."""
    assert content.is_dir()
    assert not home.exists()
    return tmp_path / "kits"


def make(out: Path, *names: str, ids: str = "q1,q3", minutes: int = 120) -> list[Path]:
    made = kits.make(kits.questions(ids), names, minutes, out, made_at=MADE_AT)
    return [one.path for one in made]


def members(path: Path) -> dict[str, bytes]:
    """The files of a zip, without the folder that all of them are in."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (top,) = {name.partition("/")[0] for name in files}
    assert top == path.stem
    return {name.partition("/")[2]: data for name, data in files.items()}


def refusal(*args: object) -> str:
    """What the user reads when `make` is called so."""
    with pytest.raises(UsageError) as caught:
        make(*args)  # type: ignore[arg-type]
    assert caught.value.tip
    return caught.value.message


# ------------------------------------------------------------------ what is in it


def test_a_kit_is_what_start_lays_out_with_a_manifest_and_a_readme(out, tmp_path) -> None:
    files = members(*make(out, "Ada Lovelace"))
    for exercise in kits.questions("q1,q3"):
        made = start_workspace(exercise, tmp_path / "w" / exercise.folder).path
        for path in (p for p in made.rglob("*") if p.name != MARKER):
            name = path.relative_to(made.parent).as_posix()
            assert files.pop(name) == path.read_bytes()
        marker = json.loads(files.pop(f"{exercise.folder}/{MARKER}"))
        started = json.loads((made / MARKER).read_text())
        assert marker == started | {"started_at": MADE_AT}
    assert sorted(files) == ["README.md", "archprep-kit.json"]


def hidden(exercise: Exercise) -> list[bytes]:
    """What no candidate may see of an exercise: every file of it that says something."""
    folders = (exercise.grader_dir, exercise.solution_dir)
    paths = [p for f in folders for p in f.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    texts = [path.read_bytes() for path in (exercise.brief_dir / "hints.md", *paths)]
    return [text for text in texts if text.strip()]


def told(exercise: Exercise) -> list[bytes]:
    """What every candidate sees of an exercise."""
    texts = [
        exercise_files.brief_template(exercise).encode(),
        exercise_files.discussion(exercise).encode(),
    ]
    return texts + [path.read_bytes() for path in exercise_files.starter_files(exercise).values()]


def lines(*texts: bytes) -> set[bytes]:
    """The lines that no two authors write alike by chance."""
    found = (line.strip() for text in texts for line in text.splitlines())
    return {line for line in found if len(line) >= 30}


@pytest.mark.parametrize("real", [False, True], ids=["toy", "real"])
def test_nothing_that_grades_solves_or_hints_is_in_it(out, monkeypatch, real) -> None:
    """No hidden file is in it, nor a line of one that brief and starter do not have too."""
    if real:
        monkeypatch.delenv("ARCHPREP_CONTENT")
    exercises = catalog.load_all()
    files = members(*make(out, "Ada", ids=",".join(e.id for e in exercises)))
    for exercise in exercises:
        mine = [d for n, d in files.items() if "/" not in n or n.startswith(exercise.folder)]
        secrets = hidden(exercise)
        assert len(secrets) > 3
        assert [text for text in secrets if text in mine and text not in told(exercise)] == []
        assert lines(*secrets) & lines(*mine) - lines(*told(exercise)) == set()
    assert not [n for n in files if re.search(r"hint|rubric|notes|grader|probe|solution|wrong", n)]


def test_the_toy_secrets_are_not_in_it(out) -> None:
    """Short lines, too: what the toy's reference, notes, hints and wrong answers say."""
    everything = b"\n".join(members(*make(out, "Ada")).values())
    for secret in (b"return a + b", b"Addition is built in", b"It adds", b"subtracts", b"covers"):
        assert secret not in everything


def test_a_kit_needs_neither_archprep_nor_its_maker(out, tmp_path) -> None:
    """Unzipped anywhere, plain pytest runs the public examples: nothing of archprep is imported."""
    with zipfile.ZipFile(*make(out, "Ada")) as archive:
        archive.extractall(tmp_path / "hers")
    blocked = "import sys; sys.modules['archprep'] = None; import pytest; sys.exit(pytest.main())"
    done = subprocess.run(
        [sys.executable, "-c", blocked],
        cwd=tmp_path / "hers" / "ada" / "q01_event_bus",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout
    assert done.returncode == 0


def test_the_readme_says_what_to_install_write_and_send(out, content) -> None:
    """One pip line for all exercises, each package once, quoted where a shell would read it."""
    for folder, packages in (
        ("q01_event_bus", '[httpx, "fakeredis[lua]"]'),
        ("q03_rate_limiting", '[httpx, "airflow==3"]'),
    ):
        path = content / "exercises" / folder / "exercise.yaml"
        path.write_text(path.read_text() + f"packages: {packages}\n")
    text = members(*make(out, "Ada Lovelace"))["README.md"].decode()
    assert 'python -m pip install pytest httpx "fakeredis[lua]" "airflow==3"\n' in text
    for word in (
        "Ada Lovelace",
        "120 minutes",
        "q03_rate_limiting",
        "`answer.py`",
        "archprep submit",
    ):
        assert word in text


def test_a_brief_that_names_its_folder_tells_nothing_of_the_makers_machine(out, content) -> None:
    brief = content / "exercises" / "q01_event_bus" / "brief.md"
    brief.write_text("Work in {{ workspace }}/src.\n")
    assert members(*make(out, "Ada"))["q01_event_bus/README.md"] == b"Work in q01_event_bus/src.\n"


def test_the_same_input_gives_the_same_bytes(out, tmp_path) -> None:
    """Names in order, one timestamp, plain modes: nothing of the moment or the machine."""
    one, two = make(out, "Ada")[0], make(tmp_path / "again", "Ada")[0]
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        infos = archive.infolist()
    assert [i.filename for i in infos] == sorted(i.filename for i in infos)
    assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {i.external_attr >> 16 for i in infos} == {stat.S_IFREG | 0o644}


# ------------------------------------------------------------------ the manifest and its key


def test_the_manifest_says_what_was_handed_out_and_is_signed(out, home, content) -> None:
    text = members(*make(out, "Zoë"))["archprep-kit.json"].decode()
    kit, signature = manifest.loads(text)
    assert (kit.candidate, kit.minutes, kit.made_at) == ("Zoë", 120, MADE_AT)
    assert [(e.id, e.folder, e.version) for e in kit.exercises] == [
        ("q1", "q01_event_bus", 1),
        ("q3", "q03_rate_limiting", 1),
    ]
    key = manifest.key(create=False)
    assert key is not None
    assert manifest.genuine(kit, signature, key)
    assert not manifest.genuine(kit, signature, bytes(32))


def test_the_digest_depends_on_what_was_handed_out_alone(out, tmp_path, content) -> None:
    """Not on the time or the candidate; on each file of the exercise."""

    def digests(folder: str, name: str) -> list[str]:
        (one,) = kits.make(kits.questions("q1,q3"), [name], 9, tmp_path / folder)
        kit, _ = manifest.loads(members(one.path)["archprep-kit.json"].decode())
        return [e.digest for e in kit.exercises]

    before = digests("one", "Ada")
    assert digests("two", "Bob") == before
    (content / "exercises" / "q03_rate_limiting" / "discussion.md").write_text("And now?\n")
    after = digests("three", "Ada")
    assert (after[0], after[1] == before[1]) == (before[0], False)


def test_the_key_is_made_once_and_is_ones_own(out, home) -> None:
    assert manifest.key(create=False) is None
    make(out, "Ada")
    key = manifest.key(create=False)
    make(out, "Bob")
    assert manifest.key(create=True) == key
    assert key is not None
    assert len(key) == 32
    assert (home / "kit.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["kit.key"]


def test_the_first_key_stays_when_two_begin_at_once(home, monkeypatch) -> None:
    first = manifest.key(create=True)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert manifest.key(create=True) == first
    assert len(list(home.iterdir())) == 1


@pytest.mark.parametrize("damage", ["", "zz", "\xff", "ab" * 31])
def test_a_damaged_key_is_told_and_not_replaced(home, damage) -> None:
    home.mkdir()
    (home / "kit.key").write_text(damage, encoding="latin-1")
    with pytest.raises(UsageError, match="damaged") as caught:
        manifest.key(create=True)
    assert "backup" in (caught.value.tip or "")
    assert (home / "kit.key").read_text(encoding="latin-1") == damage


def test_what_is_written_is_read_back() -> None:
    text = manifest.dumps(KIT, KEY)
    assert text.isascii()
    kit, signature = manifest.loads(text)
    assert kit == KIT
    assert manifest.genuine(kit, signature, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"candidate": "Bob"},
        {"minutes": 9000},
        {"made_at": "2026-03-03T09:00:00+00:00"},
        {"archprep_version": "9"},
        {"limits": KitLimits(files=9000)},
        {"exercises": (replace(KIT.exercises[0], version=2),)},
        {"exercises": (replace(KIT.exercises[0], digest="cd" * 32),)},
        {"exercises": (*KIT.exercises, KitExercise("q3", "q03_x", 1, "ab" * 32))},
    ],
    ids=["name", "time", "made", "by", "limits", "version", "digest", "exercises"],
)
def test_any_change_breaks_the_signature(change) -> None:
    signature = json.loads(manifest.dumps(KIT, KEY))["signature"]
    assert not manifest.genuine(replace(KIT, **change), signature, KEY)


def altered(**kit: object) -> str:
    document = json.loads(manifest.dumps(KIT, KEY))
    document["kit"] |= kit
    return json.dumps(document)


def parts(**changes: object) -> list[object]:
    return [{"id": "q1", "folder": "q01_a", "version": 1, "digest": "ab" * 32} | changes]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        '{"kit": []}',
        "[" * 50_000,
        '{"kit": {"minutes": ' + "9" * 5000 + "}}",
        " " * manifest.MOST_BYTES + manifest.dumps(KIT, KEY),
        altered(format=0),
        altered(format="1"),
        altered(format=True),
        altered(minutes=True),
        altered(minutes=0),
        altered(minutes=10**9),
        altered(minutes=10**30),
        altered(minutes="90"),
        altered(candidate=None),
        altered(candidate="\u200b \n"),
        altered(made_at="yesterday"),
        altered(made_at="2026-03-02T09:00:00"),
        altered(made_at="2026-03-02\x1b09:00:00+00:00"),
        altered(made_at="0001-01-01T00:00:00+23:59"),
        altered(exercises=[]),
        altered(exercises=parts() * 2),
        altered(exercises=parts(id="../q1")),
        altered(exercises=parts(folder="..")),
        altered(exercises=parts(folder="a/b")),
        altered(exercises=parts(version=-1)),
        altered(exercises=parts(digest="x")),
        altered(limits={"files": 0}),
        altered(limits={"total_bytes": 10**30}),
    ],
    ids=range(30),
)
def test_what_is_no_manifest_is_one_sentence(text) -> None:
    with pytest.raises(UsageError, match="not the manifest of a kit") as caught:
        manifest.loads(text)
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_a_newer_format_is_told() -> None:
    """Whatever else it holds."""
    with pytest.raises(UsageError, match="newer archprep"):
        manifest.loads('{"kit": {"format": 2, "shape": "other"}}')


def test_texts_of_a_manifest_are_clean() -> None:
    """A signature that is none is never genuine, and no error."""
    text = altered(candidate="\x1b[2JAda\n\u202eB" + "x" * 500, archprep_version="\x07" * 9)
    kit, signature = manifest.loads(text)
    assert kit.candidate.startswith("Ada B")
    assert kit.candidate.isprintable()
    assert len(kit.candidate) < 200
    assert not manifest.genuine(kit, signature, KEY)
    for odd in (None, 7, "\ud800", "é"):
        document = json.loads(manifest.dumps(KIT, KEY)) | {"signature": odd}
        kit, signature = manifest.loads(json.dumps(document))
        assert not manifest.genuine(kit, signature, KEY)


# ------------------------------------------------------------------ many; what goes wrong


def test_each_candidate_gets_a_kit_of_their_own(out) -> None:
    """File names are plain, and differ where those of two people would be alike."""
    names = ["Ann Lee", "ann-lee", "Ænne  Łuck", "李雷", "韩梅", "O'Hara, Zoë"]
    paths = make(out, *names)
    assert [path.name for path in paths] == [
        "ann-lee.zip", "ann-lee-2.zip", "nne-uck.zip", "candidate.zip", "candidate-2.zip",
        "o-hara-zoe.zip",
    ]  # fmt: skip
    told = [manifest.loads(members(p)["archprep-kit.json"].decode())[0].candidate for p in paths]
    assert told == ["Ann Lee", "ann-lee", "Ænne Łuck", "李雷", "韩梅", "O'Hara, Zoë"]


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
    assert says in refusal(out, *names)
    assert not out.exists()
    assert not home.exists()


def test_nothing_that_exists_is_overwritten(out) -> None:
    """Not even by the same kit; nor is a part of a class written."""
    (first,) = make(out, "Bob")
    before = first.read_bytes()
    assert "bob.zip is there already" in refusal(out, "Ada", "Bob")
    assert [path.name for path in out.iterdir()] == ["bob.zip"]
    (out / "eve.zip").symlink_to("nowhere")
    assert "bob.zip, and 1 more are there" in refusal(out, "Bob", "Eve")
    assert first.read_bytes() == before


def test_a_disk_that_fills_up_leaves_no_part_of_a_class(out, monkeypatch) -> None:
    """Neither half a zip, nor the zips before it."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    manifest.key(create=True)
    monkeypatch.setattr(os, "fsync", fsync)
    assert "No space left" in refusal(out, "Ada", "Bob", "Eve", "Joe")
    assert list(out.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(theirs, user: OrdinaryUser, monkeypatch) -> None:
    monkeypatch.setenv("ARCHPREP_HOME", str(user.folder / "home"))
    user.become()
    assert "cannot be written" in refusal(Path("/proc/kits"), "Ada")
    (user.folder / "file").write_text("")
    assert "cannot be written" in refusal(user.folder / "file", "Ada")


@pytest.mark.parametrize("ids", ["", "q1,", "q1,,q3", ","])
def test_a_list_of_questions_without_one(content, ids) -> None:
    with pytest.raises(UsageError, match="--questions"):
        kits.questions(ids)


def test_questions_are_named_once_and_keep_their_order(content) -> None:
    assert [e.id for e in kits.questions(" q3, event_bus")] == ["q3", "q1"]
    with pytest.raises(UsageError, match="q1 twice"):
        kits.questions("q1,q3,1")
    with pytest.raises(UsageError, match="no exercise 'q7'"):
        kits.questions("q1,q7")


@pytest.mark.parametrize("minutes", [0, -1, 10**9])
def test_minutes_out_of_bounds(out, minutes) -> None:
    with pytest.raises(UsageError, match="cannot last"):
        make(out, "Ada", minutes=minutes)


# ------------------------------------------------------------------ candidates.csv


@pytest.mark.parametrize(
    "text",
    [
        "name\nAnn Lee\nBob\n",
        "Ann Lee\nBob",
        "\ufeffmail,Name\r\na@x,Ann Lee\r\nb@x,Bob\r\n\r\n",
        'Candidate;mail\n"Ann Lee";a@x\nBob\n',
        "Ann Lee\ta@x\nBob\tb@x\n",
    ],
    ids=["header", "no header", "Excel", "semicolons", "tabs"],
)
def test_names_are_read_from_csv(tmp_path, text) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(text.encode())
    assert kits.candidates(path) == ["Ann Lee", "Bob"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "names no candidate"),
        (b"name\n", "names no candidate"),
        (b"name,mail\nAda,x\n,y\n", "line 3 has no name"),
        (b"mail,name\nx\n", "line 2 has no name"),
        (b"name\nLee, Ann\n", "line 2 has more columns"),
        (b'name\n"Ada\nBob\n', "unexpected end of data"),
        (b"name\n\xff\xfe\n", "no text in UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_used_says_where(tmp_path, data, says) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        kits.candidates(path)
    assert says in caught.value.message
    assert caught.value.tip


# ------------------------------------------------------------------ the command


def archprep(*args: str) -> str:
    """The command's output; a UsageError passes, as it does through `cli.main`."""
    app = typer.Typer()
    interview.register(app)
    return CliRunner().invoke(app, args, catch_exceptions=False).stdout


def test_the_command_prints_the_path(out, tmp_path, monkeypatch) -> None:
    """Time is what the exercises say, if nothing else is."""
    monkeypatch.chdir(tmp_path)
    assert archprep("kit", "--questions", "q1,q3", "--candidate", "Ada") == "kits/ada.zip\n"
    assert b"180 minutes" in members(tmp_path / "kits" / "ada.zip")["README.md"]


def test_the_command_makes_many(out, tmp_path) -> None:
    write_tree(tmp_path, {"c.csv": "name\nAda\nBob\n"})
    args = ("--questions", "q1", "--from", str(tmp_path / "c.csv"), "--minutes", "60")
    assert archprep("kit", *args, "--out", str(out)).splitlines() == [
        f"{out}/ada.zip  Ada",
        f"{out}/bob.zip  Bob",
        "2 kits, 60 minutes each.",
    ]


@pytest.mark.parametrize("args", [(), ("--candidate", "Ada", "--from", "x.csv")])
def test_a_kit_is_for_one_or_for_many(out, args) -> None:
    with pytest.raises(UsageError, match="--candidate"):
        archprep("kit", "--questions", "q1", *args)


@pytest.mark.parametrize("command", ["kit", "begin", "submit"])
def test_every_command_has_an_example(command) -> None:
    assert f"Example: archprep {command}" in archprep(command, "--help")
