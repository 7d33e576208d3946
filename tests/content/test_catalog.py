"""Exercises are found by their folders and by several names."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_exercise, write_tree

from archprep.content import catalog
from archprep.core.errors import ContentError, UsageError

Q1 = "q01_event_bus"


def test_exercises_are_ordered_by_number(content: Path) -> None:
    """Folders are sorted as numbers, not as text: q10 follows q3."""
    write_exercise(content, "q10_webhooks")
    write_exercise(content, "q100_more")
    assert [e.id for e in catalog.load_all()] == ["q1", "q3", "q10", "q100"]


@pytest.mark.parametrize("name", ["_template", ".hidden"])
def test_some_folders_are_not_exercises(content: Path, name: str) -> None:
    """A leading underscore or dot excludes a folder from the catalog."""
    write_tree(content / "exercises" / name, {"exercise.yaml": "not: valid"})
    assert [e.id for e in catalog.load_all()] == ["q1", "q3"]


@pytest.mark.parametrize(
    "name", ["q1", "Q1", " q1 ", "1", "q01", "01", Q1, f"{Q1}/", "event_bus", "Event-Bus"]
)
def test_an_exercise_has_several_names(content: Path, name: str) -> None:
    """Its id, number, folder and slug all lead to it."""
    assert catalog.get(name).id == "q1"


@pytest.mark.parametrize(
    ("name", "tip"),
    [
        ("q33", "Did you mean q3? `archprep list` shows all."),
        ("even_bus", "Did you mean q1? `archprep list` shows all."),
        ("zebra", "`archprep list` shows all."),
        ("", "`archprep list` shows all."),
    ],
)
def test_an_unknown_name_suggests_similar_ones(content: Path, name: str, tip: str) -> None:
    """After a typo the right id is in the message."""
    with pytest.raises(UsageError) as caught:
        catalog.get(name)
    assert (caught.value.message, caught.value.tip) == (f"There is no exercise '{name}'.", tip)


def test_an_unknown_name_is_sanitized(content: Path) -> None:
    """Control sequences in an argument do not reach the terminal."""
    with pytest.raises(UsageError, match=r"^There is no exercise 'x'\.$"):
        catalog.get("\x1b[2Jx")


def test_one_exercise_does_not_break_another(content: Path) -> None:
    """A half-written exercise breaks the list, but not the use of another exercise."""
    (content / "exercises" / "q03_rate_limiting" / "exercise.yaml").write_text("id: q3\n")
    assert catalog.get("q1").id == "q1"
    with pytest.raises(ContentError, match="q03_rate_limiting"):
        catalog.load_all()


@pytest.mark.parametrize("name", ["event_bus", "q1_event_bus", "q01", "q01_Event", "q01_a__b"])
def test_a_misnamed_folder_is_refused(content: Path, name: str) -> None:
    """Folder names have one form, which provides the number and the slug."""
    (content / "exercises" / name).mkdir()
    with pytest.raises(ContentError, match=f"exercises/{name}: "):
        catalog.load_all()


def test_a_number_is_used_once(content: Path) -> None:
    """The message names both folders with the same number."""
    write_exercise(content, "q01_other")
    for find in (catalog.load_all, lambda: catalog.get("q1")):
        with pytest.raises(ContentError, match=f"{Q1}, q01_other"):
            find()


def test_the_checkout_has_its_own_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ARCHPREP_CONTENT the folders next to src/ (or in the wheel) are used."""
    monkeypatch.delenv("ARCHPREP_CONTENT", raising=False)
    assert (catalog.content_root() / "graders").is_dir()


def test_a_wrong_content_root_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable, because the user has set it."""
    monkeypatch.setenv("ARCHPREP_CONTENT", str(tmp_path))
    with pytest.raises(UsageError, match=r"ARCHPREP_CONTENT is .* has no `exercises` folder"):
        catalog.load_all()
