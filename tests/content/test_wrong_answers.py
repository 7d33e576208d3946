"""Wrong answers are edits of the reference; each must match exactly once."""

from __future__ import annotations

import shutil

import pytest
from conftest import write_tree

from archprep.content.wrong_answers import WrongAnswer, find_wrong_answers, read_wrong_answer
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

Q1 = "q01_event_bus"


def only(exercise: Exercise) -> WrongAnswer:
    """The one wrong answer of an exercise."""
    [path] = find_wrong_answers(exercise)
    return read_wrong_answer(path)


def wrong(exercise: Exercise, text: str) -> WrongAnswer:
    """The wrong answer that a file with `text` describes."""
    folder = exercise.grader_dir / "wrong"
    shutil.rmtree(folder)
    write_tree(folder, {"it.yaml": text})
    return only(exercise)


def test_a_wrong_answer_is_the_reference_with_an_edit(exercise: Exercise) -> None:
    """Its header says what is wrong and what it loses; its files contain the defect."""
    answer = only(exercise)
    assert (answer.name, answer.defect, answer.says) == ("minus", "near miss", "it subtracts")
    assert answer.loses == ("adds",)
    assert answer.files({"answer.py": "return a + b\n", "other.py": ""}) == {
        "answer.py": "return a - b\n",
        "other.py": "",
    }


def test_a_wrong_answer_may_be_complete_files(exercise: Exercise) -> None:
    """Complete files replace those of the reference; `all` means every criterion."""
    text = "defect: Q1-02\nsays: nothing\nloses: all\nfiles: {answer.py: 'pass'}\n"
    answer = wrong(exercise, text)
    assert answer.loses == "all"
    assert answer.files({"answer.py": "x", "b.py": "y"}) == {"answer.py": "pass", "b.py": "y"}


@pytest.mark.parametrize("source", ["nothing here", "a + b; a + b"])
def test_an_edit_fits_exactly_once(exercise: Exercise, source: str) -> None:
    """An edit that no longer matches the reference is an error, not a silent no-op."""
    answer = only(exercise)
    with pytest.raises(ContentError, match=r"minus\.yaml: .* in answer\.py, but occurs [02] times"):
        answer.files({"answer.py": source})


def test_an_edit_names_a_file_of_the_reference(exercise: Exercise) -> None:
    """A renamed file in the reference is noticed."""
    answer = only(exercise)
    with pytest.raises(ContentError, match=r"has no file answer\.py"):
        answer.files({"other.py": ""})


HEAD = "defect: d\nsays: s\nloses: [a]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "`edits` or `files` must be given"),
        (HEAD + "edits: {}\nfiles: {}\n", "`edits` or `files` must be given"),
        (HEAD + "edits: {}\n", "`edits` is empty."),
        (HEAD + "edits: {a.py: x}\n", "`edits.a.py` must be a list"),
        (HEAD + "edits: {a.py: [{replace: x}]}\n", "`edits.a.py.by` is missing."),
        (HEAD + "edits: {a.py: [{replace: x, by: x}]}\n", "`edits.a.py.by` must be text that"),
        (HEAD + "files: {a.py: 1}\n", "`files.a.py` must be text."),
        ("defect: d\nsays: s\nfiles: {a.py: x}\n", "`loses` is missing."),
        (
            "defect: d\nsays: s\nloses: []\nfiles: {a.py: x}\n",
            "`loses` must name at least one",
        ),
        ("defect: d\nsays: s\nloses: most\nfiles: {a.py: x}\n", "`loses` must be a list."),
    ],
)
def test_a_malformed_wrong_answer_is_refused(exercise: Exercise, text: str, message: str) -> None:
    """The message names the file and the key."""
    with pytest.raises(ContentError) as caught:
        wrong(exercise, text)
    assert f"graders/{Q1}/wrong/it.yaml: {message}" in caught.value.message
