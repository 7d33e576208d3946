"""Starter, reference, texts and hints are read from the files of an exercise."""

from __future__ import annotations

import pytest
from conftest import write_tree

from archprep.content import exercise_files
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

Q1 = "q01_event_bus"


def test_files_are_keyed_by_their_path_in_the_workspace(exercise: Exercise) -> None:
    """Starter and reference exclude what tools leave behind; the reference excludes notes."""
    starter = exercise.brief_dir / "starter"
    write_tree(starter, {"pkg/deep.py": "", "__pycache__/answer.pyc": "", "stale.pyc": ""})
    expected = ["answer.py", "pkg/deep.py", "test_examples.py"]
    assert list(exercise_files.starter_files(exercise)) == expected
    assert exercise_files.starter_files(exercise)["answer.py"] == starter / "answer.py"
    assert list(exercise_files.reference_files(exercise)) == ["answer.py"]
    assert "return a + b" in exercise_files.reference(exercise)["answer.py"]


def test_texts_are_read_unchanged(exercise: Exercise) -> None:
    """Brief, discussion questions, notes and rubric each have a file."""
    assert "{{ exercise.title }}" in exercise_files.brief_template(exercise)
    assert exercise_files.discussion(exercise) == "Why this way?\n"
    assert exercise_files.notes(exercise) == "Addition is built in.\n"
    assert exercise_files.rubric(exercise) == [{"question": "Why?", "covers": ["simplicity"]}]


def test_a_missing_text_is_named(exercise: Exercise) -> None:
    """The message names the missing file."""
    (exercise.solution_dir / "notes.md").unlink()
    with pytest.raises(ContentError, match=rf"^solutions/{Q1}/notes\.md is missing"):
        exercise_files.notes(exercise)


def test_an_empty_rubric_is_refused(exercise: Exercise) -> None:
    """A rubric without content is of no use to an interviewer."""
    (exercise.solution_dir / "rubric.yaml").write_text("[]")
    with pytest.raises(ContentError, match=r"rubric\.yaml must hold"):
        exercise_files.rubric(exercise)


def test_hints_are_lists_by_key(exercise: Exercise) -> None:
    """A hint keeps its continuation lines without their list indentation."""
    assert exercise_files.hints(exercise) == {
        "adding": ["Look at `add`.", "It adds:\n\n```\na + b\n```"]
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## a\n\n1. x\n\n## a\n\n1. y\n", "the section `a` occurs twice."),
        ("## a\n\n", "`a` must be a numbered list and nothing else."),
        ("## a\n\nSome text.\n\n1. x\n", "`a` must be a numbered list and nothing else."),
        ("## a\n\n1. x\n3. y\n", "`a` must be numbered 1, 2, 3."),
    ],
)
def test_malformed_hints_are_refused(exercise: Exercise, text: str, message: str) -> None:
    """The message names the malformed section."""
    (exercise.brief_dir / "hints.md").write_text(text)
    with pytest.raises(ContentError) as caught:
        exercise_files.hints(exercise)
    assert caught.value.message == f"exercises/{Q1}/hints.md: {message}"
