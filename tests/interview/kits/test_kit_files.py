"""A kit contains what a candidate needs, and nothing that grades or solves."""

from __future__ import annotations

import json
import re
import secrets
import stat
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from interview.kits.kit_samples import MADE_AT, make, members

from archprep.content import catalog, exercise_files
from archprep.core.model import GRADED_WITH
from archprep.interview.kits import manifest
from archprep.interview.kits.make_kits import chosen_exercises, make_kits
from archprep.workspace.folder import MARKER, start_workspace

if TYPE_CHECKING:
    from archprep.core.model import Exercise


def test_a_kit_has_what_start_lays_out_plus_manifest_and_readme(out, tmp_path) -> None:
    """The workspaces differ only in the time in their markers."""
    files = members(*make(out, "Ada Lovelace"))
    for exercise in chosen_exercises("q1,q3"):
        made = start_workspace(exercise, tmp_path / "w" / exercise.folder).path
        for path in (p for p in made.rglob("*") if p.name != MARKER):
            name = path.relative_to(made.parent).as_posix()
            assert files.pop(name) == path.read_bytes()
        marker = json.loads(files.pop(f"{exercise.folder}/{MARKER}"))
        started = json.loads((made / MARKER).read_text())
        assert marker == started | {"started_at": MADE_AT}
    assert sorted(files) == ["README.md", "archprep-kit.json"]


def hidden(exercise: Exercise) -> list[bytes]:
    """The files of an exercise that no candidate may see, unless they are empty."""
    folders = (exercise.grader_dir, exercise.solution_dir)
    paths = [p for f in folders for p in f.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    texts = [path.read_bytes() for path in (exercise.brief_dir / "hints.md", *paths)]
    return [text for text in texts if text.strip()]


def shown_to_candidates(exercise: Exercise) -> list[bytes]:
    """The files of an exercise that every candidate sees."""
    texts = [
        exercise_files.brief_template(exercise).encode(),
        exercise_files.discussion(exercise).encode(),
    ]
    return texts + [path.read_bytes() for path in exercise_files.starter_files(exercise).values()]


def lines(*texts: bytes) -> set[bytes]:
    """Lines that are too long to be the same by chance."""
    found = (line.strip() for text in texts for line in text.splitlines())
    return {line for line in found if len(line) >= 30}


@pytest.mark.parametrize("real", [False, True], ids=["toy", "real"])
def test_a_kit_contains_no_graders_solutions_or_hints(out, monkeypatch, real) -> None:
    """No hidden file is in it, nor a line of one that brief and starter do not have."""
    if real:
        monkeypatch.delenv("ARCHPREP_CONTENT")
    exercises = catalog.load_all()
    files = members(*make(out, "Ada", ids=",".join(e.id for e in exercises)))
    for exercise in exercises:
        mine = [d for n, d in files.items() if "/" not in n or n.startswith(exercise.folder)]
        secrets = hidden(exercise)
        assert len(secrets) > 3
        assert [
            text for text in secrets if text in mine and text not in shown_to_candidates(exercise)
        ] == []
        assert lines(*secrets) & lines(*mine) - lines(*shown_to_candidates(exercise)) == set()
    assert not [n for n in files if re.search(r"hint|rubric|notes|grader|probe|solution|wrong", n)]


def test_a_kit_contains_no_secrets_of_the_toy_exercise(out) -> None:
    """Nor short lines of its reference, notes, hints and wrong answers."""
    everything = b"\n".join(members(*make(out, "Ada")).values())
    for secret in (b"return a + b", b"Addition is built in", b"It adds", b"subtracts", b"covers"):
        assert secret not in everything


def test_a_kit_works_without_archprep(out, tmp_path) -> None:
    """Unzipped anywhere, plain pytest runs the public examples."""
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
    """One pip line for all exercises: each package once, quoted where a shell needs it."""
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


def test_a_brief_does_not_reveal_paths_of_the_makers_machine(out, content) -> None:
    """The path of the workspace is made relative."""
    brief = content / "exercises" / "q01_event_bus" / "brief.md"
    brief.write_text("Work in {{ workspace }}/src.\n")
    assert members(*make(out, "Ada"))["q01_event_bus/README.md"] == b"Work in q01_event_bus/src.\n"


def test_the_readme_names_the_python_that_grades(out) -> None:
    """The candidate's own may be newer; the signed manifest names it, too."""
    files = members(*make(out, "Ada"))
    assert f"graded with Python {GRADED_WITH}" in files["README.md"].decode()
    kit, _ = manifest.loads(files[manifest.NAME].decode())
    assert kit.python == GRADED_WITH


def test_the_same_input_gives_the_same_bytes(out, tmp_path, monkeypatch) -> None:
    """Sorted names, one timestamp and fixed modes: only the kit's id differs each time."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: "ab" * size)
    one, two = make(out, "Ada")[0], make(tmp_path / "again", "Ada")[0]
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        infos = archive.infolist()
    assert [i.filename for i in infos] == sorted(i.filename for i in infos)
    assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {i.external_attr >> 16 for i in infos} == {stat.S_IFREG | 0o644}


def test_the_digest_depends_only_on_the_files_handed_out(out, tmp_path, content) -> None:
    """Not on time or candidate, but on every file of the exercise."""

    def digests(folder: str, name: str) -> list[str]:
        (one,) = make_kits(chosen_exercises("q1,q3"), [name], 9, tmp_path / folder)
        kit, _ = manifest.loads(members(one.path)["archprep-kit.json"].decode())
        return [e.digest for e in kit.exercises]

    before = digests("one", "Ada")
    assert digests("two", "Bob") == before
    (content / "exercises" / "q03_rate_limiting" / "discussion.md").write_text("And now?\n")
    after = digests("three", "Ada")
    assert (after[0], after[1] == before[1]) == (before[0], False)
