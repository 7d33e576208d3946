"""Notes for the interviewer about what an honest answer does not need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interview.reports.result_values import card, criterion, received

from archprep.content import catalog, exercise_files
from archprep.interview import integrity_notes
from archprep.interview.integrity_notes import MOST_NOTES, UNREADABLE, SourceReader
from archprep.interview.model import Graded, Result
from archprep.interview.reports import gradescope
from archprep.interview.results import json_format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def reader() -> Iterator[SourceReader]:
    """A reader without a process yet."""
    with SourceReader() as opened:
        yield opened


def notes(reader: SourceReader, code: str) -> tuple[str, ...]:
    return reader.notes(catalog.get("q1"), {"eventbus.py": code})


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("import ctypes.util", "imports: ctypes.util"),
        ("from gc import get_objects", "imports: gc"),
        ("import archprep.grading", "imports: archprep.grading"),
        ("import sys; sys.settrace(print)", "uses a hook: settrace"),
        ("from sys import addaudithook", "uses a hook: addaudithook"),
        ("sys._getframe(1).f_locals", "reads frames: f_locals"),
        ("os.system('ls')", "starts a process: system"),
        ("asyncio.open_connection('x', 1)", "opens a socket: open_connection"),
        ("open('/proc/self/maps')", "names a file outside its folder: /proc/self/maps"),
        ("open('../other/eventbus.py')", "names a file outside its folder: ../other/eventbus.py"),
    ],
)
def test_what_no_answer_needs_is_noted_with_its_line(reader, code, note):
    assert f"eventbus.py, line 2: {note}" in notes(reader, f"# first\n{code}\n")


def test_the_notes_end_somewhere(reader):
    """A file full of it does not fill the interviewer's page."""
    found = notes(reader, "\n".join(["import gc"] * 50))
    assert len(found) == MOST_NOTES + 1
    assert found[-1] == "30 more like these."


@pytest.mark.parametrize("name", ["q1", "q3", "q6", "q12"])
def test_our_own_answers_show_nothing_but_that_they_are_ours(reader, name):
    """Honest code is not noted; a copy is, whatever its comments and layout; a starter is not."""
    exercise = catalog.get(name)
    answers = [exercise_files.reference(exercise), *exercise_files.right_answers(exercise).values()]
    for files in answers:
        mine = {n: f"# mine\n\n\n{text}\n# the end" for n, text in files.items()}
        found = reader.notes(exercise, mine)
        assert found
        assert all("has the same code as the " in note for note in found), found
    starter = exercise_files.starter_files(exercise)
    assert reader.notes(exercise, {n: p.read_text("utf-8") for n, p in starter.items()}) == ()


@pytest.mark.parametrize(
    "code", ["(" * 100_000, "-" * 1_000_000 + "1", "def", "\0", "x = '\udcff'"]
)
def test_source_that_does_not_parse_stops_nothing(reader, code):
    """What is wrong with it is for the graders to say."""
    assert notes(reader, code) in ((), (UNREADABLE,))
    assert notes(reader, "import gc") == ("eventbus.py, line 1: imports: gc",)


@pytest.mark.parametrize("body", ["import time; time.sleep(60)", "print('no JSON')", ""])
def test_a_reader_that_fails_says_so(reader, monkeypatch, tmp_path, body):
    """The next submission gets another process."""
    broken: Path = tmp_path / "broken.py"
    broken.write_text(body)
    monkeypatch.setattr(integrity_notes, "READ_SECONDS", 0.5)
    monkeypatch.setattr(integrity_notes, "_PROGRAM", broken)
    assert notes(reader, "import gc") == (UNREADABLE,)
    monkeypatch.undo()
    assert notes(reader, "import gc") == ("eventbus.py, line 1: imports: gc",)


def test_notes_are_kept_and_are_not_for_candidates():
    """They survive the results folder; what students read in Gradescope does not have them."""
    graded = Graded("q1", card(criterion("a")), notes=("eventbus.py, line 1: imports: gc",))
    kept = json_format.graded_from(json_format.graded_document("digest", graded), "q1")
    assert kept.notes == graded.notes
    result = Result(received(), (graded,))
    assert json_format.scorecard_document(result)["exercises"][0]["notes"] == [*graded.notes]
    assert "imports: gc" not in str(gradescope.results_json(result))
