"""`author new` creates the folders of an exercise, completely or not at all."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from archprep import author
from archprep.content import catalog
from archprep.core.errors import UsageError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A content root without exercises."""
    root = tmp_path / "checkout"
    for kind in ("exercises", "solutions", "graders"):
        (root / kind).mkdir(parents=True)
    monkeypatch.setenv("ARCHPREP_CONTENT", str(root))
    return root


@pytest.mark.parametrize(
    ("name", "title", "folder"),
    [
        ("q18", "Feature flags, done right: a story", "q18_feature_flags_done_right"),
        ("7", 'Don\'t "quote"', "q07_dont_quote"),
        ("Q09-own-words", "Anything: else", "q09_own_words"),
    ],
)
def test_new_names_the_folders_after_the_title(root, name, title, folder):
    """`new` creates three folders that the catalog reads; any title is valid."""
    made = author.new(name, title=title)
    assert made == [root / kind / folder for kind in ("exercises", "solutions", "graders")]
    assert [(e.folder, e.title) for e in catalog.load_all()] == [(folder, title)]


@pytest.mark.parametrize("name", ["", "q0", "eighteen", "q18/../x", "q18_"])
def test_new_needs_a_valid_id(root, name):
    """An invalid id is refused, and nothing is written."""
    with pytest.raises(UsageError, match="is not a valid exercise id"):
        author.new(name)
    assert not list((root / "exercises").iterdir())


def test_new_needs_a_word_for_the_folder(root):
    """The folder cannot be named after a title without letters."""
    with pytest.raises(UsageError, match="contains no word"):
        author.new("q1", title="???")


@pytest.mark.parametrize("kind", ["exercises", "solutions", "graders"])
def test_new_never_overwrites(root, kind):
    """A number is in use if any of the three folders has it."""
    (root / kind / "q018_older").mkdir()
    with pytest.raises(UsageError, match=f"q18 already exists: {kind}/q018_older"):
        author.new("q18")


def test_new_works_in_a_checkout_only(root, monkeypatch):
    """An installed package is not a place to write exercises."""
    installed = root.rename(root.with_name("_content"))
    monkeypatch.setenv("ARCHPREP_CONTENT", str(installed))
    with pytest.raises(UsageError, match="in a checkout"):
        author.new("q18")


def test_new_leaves_nothing_half_written(root, monkeypatch):
    """If one folder cannot be written, none remains."""
    genuine = shutil.copyfile

    def copyfile(source: Path, target: Path) -> None:
        if "graders" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        genuine(source, target)

    monkeypatch.setattr("archprep.author.scaffold.shutil.copyfile", copyfile)
    with pytest.raises(UsageError, match=r"cannot be written to .*: No space left on device"):
        author.new("q18")
    assert not any(list((root / kind).iterdir()) for kind in ("exercises", "solutions", "graders"))
