"""Which exercise and folder a command is about; hints and solutions."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_tree

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.practice import commands
from archprep.workspace.store import Store


@pytest.fixture
def store(content: Path, home: Path):
    """An empty state, beside a catalog with q1 and q3."""
    assert content.is_dir()
    assert not home.exists()
    with Store.open() as opened:
        yield opened


def start(name: str, directory: Path, store: Store) -> Path:
    made = commands.begin(catalog.get(name), directory, store)
    store.remember_workspace(name, made.path)
    return made.path


def test_the_folder_one_stands_in_decides(store, tmp_path, monkeypatch):
    """Also against what was started last, and from below the workspace."""
    one = start("q1", tmp_path / "one", store)
    start("q3", tmp_path / "three", store)
    (one / "deeper").mkdir()
    monkeypatch.chdir(one / "deeper")
    assert commands.place(None, None, store) == commands.Place(catalog.get("q1"), one)


def test_a_named_exercise_is_found_where_it_was_started(store, tmp_path, monkeypatch):
    """Wherever one stands, even in the workspace of another exercise."""
    one = start("q1", tmp_path / "one", store)
    three = start("q3", tmp_path / "three", store)
    monkeypatch.chdir(three)
    assert commands.place("q1", None, store).directory == one


def test_the_last_one_started_is_the_default(store, tmp_path, monkeypatch):
    """Outside of any workspace."""
    start("q1", tmp_path / "one", store)
    three = start("q3", tmp_path / "three", store)
    monkeypatch.chdir(tmp_path)
    assert commands.place(None, None, store).directory == three


def test_a_folder_that_fits_several_exercises_needs_a_name(store, tmp_path):
    """q1 and q3 here are laid out alike: the sentence says how to name one."""
    write_tree(tmp_path / "mine", {"answer.py": ""})
    with pytest.raises(UsageError) as caught:
        commands.place(None, tmp_path / "mine", store)
    assert "--dir" in (caught.value.tip or "")
    assert commands.place("q3", tmp_path / "mine", store).exercise.id == "q3"


def test_a_folder_that_was_deleted_is_told(store, tmp_path, monkeypatch):
    """A shell may stand in a folder that is gone."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="deleted"):
        commands.place(None, None, store)


def test_starting_again_goes_where_it_was_started(store, tmp_path, monkeypatch):
    """Without --dir an exercise has one workspace, wherever one stands."""
    one = start("q1", tmp_path / "one", store)
    monkeypatch.chdir(tmp_path)
    assert commands.begin(catalog.get("q1"), None, store).path == one
