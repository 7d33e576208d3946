"""Files are written in full or not at all, and litter is told from work."""

import os
import stat

import pytest

from archprep.core import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_replaces_what_was_there(tmp_path):
    """By default the new content takes the place of the old, and nothing else is left."""
    target = tmp_path / "card.json"
    target.write_text("old")
    files.write_atomically(target, "new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["card.json"]


@pytest.mark.parametrize("links", [True, False])
def test_it_never_replaces_where_it_must_not(tmp_path, monkeypatch, links):
    """With replace=False an existing file stays, on file systems without hard links as well."""
    if not links:
        monkeypatch.setattr("pathlib.Path.hardlink_to", _no_links)
    target = tmp_path / "kit.zip"
    files.write_atomically(target, b"first", replace=False)
    with pytest.raises(FileExistsError):
        files.write_atomically(target, b"second", replace=False)
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["kit.zip"]


def _no_links(self, other):
    if self.exists():
        raise FileExistsError(self)
    raise PermissionError(1, "Operation not permitted", str(self))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_leaves_the_old_content(tmp_path, monkeypatch, step):
    """A write that fails midway changes nothing and leaves no temporary file."""
    target = tmp_path / "card.json"
    target.write_text("old")

    def fail(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{step}" if step == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["card.json"]


def test_the_mode_is_the_callers(tmp_path):
    """A secret is never readable by others, not even for a moment."""
    before = os.umask(0o022)
    try:
        files.write_atomically(tmp_path / "key", "x", mode=0o600)
        files.write_atomically(tmp_path / "page", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "page").stat().st_mode) == 0o644


def test_half_a_character_can_be_written(tmp_path):
    """A lone surrogate from a candidate's text does not make the file unwritable."""
    files.write_atomically(tmp_path / "f", "a\ud800b")
    assert (tmp_path / "f").read_text() == "a\\ud800b"


@pytest.mark.parametrize(
    "name", ["__pycache__", "a.pyc", ".git", ".venv", ".ruff_cache", "__MACOSX", ".DS_Store"]
)
def test_litter(name):
    """Caches, environments and what file managers write are nobody's work."""
    assert files.is_litter(name)


@pytest.mark.parametrize("name", ["limit.py", ".github", "cache", "venvs", "pyc"])
def test_work(name):
    """Everything else is."""
    assert not files.is_litter(name)
