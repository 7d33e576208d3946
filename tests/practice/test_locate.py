"""Which exercise and workspace a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_tree

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.practice import locate
from archprep.practice.locate import LocatedWorkspace, locate_workspace
from archprep.workspace.store import Store


@pytest.fixture
def store(content: Path, home: Path):
    """An empty state, next to a catalog with q1 and q3."""
    assert content.is_dir()
    assert not home.exists()
    with Store.open() as opened:
        yield opened


def start(name: str, directory: Path, store: Store) -> Path:
    made = locate.start(catalog.get(name), directory, store)
    store.remember_workspace(name, made.path)
    return made.path


def test_the_working_directory_decides(store, tmp_path, monkeypatch):
    """Even if another exercise was started last, and from a folder inside the workspace."""
    one = start("q1", tmp_path / "one", store)
    start("q3", tmp_path / "three", store)
    (one / "deeper").mkdir()
    monkeypatch.chdir(one / "deeper")
    assert locate_workspace(None, None, store) == LocatedWorkspace(catalog.get("q1"), one)


def test_a_named_exercise_is_found_where_it_was_started(store, tmp_path, monkeypatch):
    """From anywhere, even from the workspace of another exercise."""
    one = start("q1", tmp_path / "one", store)
    three = start("q3", tmp_path / "three", store)
    monkeypatch.chdir(three)
    assert locate_workspace("q1", None, store).directory == one


def test_the_last_one_started_is_the_default(store, tmp_path, monkeypatch):
    """Outside of any workspace."""
    start("q1", tmp_path / "one", store)
    three = start("q3", tmp_path / "three", store)
    monkeypatch.chdir(tmp_path)
    assert locate_workspace(None, None, store).directory == three


def test_a_folder_that_fits_several_exercises_needs_a_name(store, tmp_path):
    """q1 and q3 have the same files here: the tip says how to name one."""
    write_tree(tmp_path / "mine", {"answer.py": ""})
    with pytest.raises(UsageError) as caught:
        locate_workspace(None, tmp_path / "mine", store)
    assert "--dir" in (caught.value.tip or "")
    assert locate_workspace("q3", tmp_path / "mine", store).exercise.id == "q3"


def test_a_deleted_working_directory_is_a_usage_error(store, tmp_path, monkeypatch):
    """A shell can be in a folder that no longer exists."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="deleted"):
        locate_workspace(None, None, store)


def test_starting_again_resumes_the_first_workspace(store, tmp_path, monkeypatch):
    """Without --dir an exercise has one workspace, from anywhere."""
    one = start("q1", tmp_path / "one", store)
    monkeypatch.chdir(tmp_path)
    assert locate.start(catalog.get("q1"), None, store).path == one
