"""Extracting a zip writes its plain files and nothing else."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import zipfile

import pytest
from interview.zips.zip_samples import descriptors, entry, written, zipped

from archprep.core.errors import UsageError
from archprep.interview import submission_rules
from archprep.interview.submission_rules import RefusedError
from archprep.interview.zips.extract import extract
from archprep.workspace import submission


def test_files_are_readable_by_their_owner_alone(target, into) -> None:
    """Files become 0600 and folders 0700, whatever modes the archive has."""
    zipped(target, "kit/", entry("kit/a.py", stat.S_IFREG), ("kit/pkg/deep/b.py", b"\0\xff"))
    extract(target, into)
    assert written(into) == {"kit/a.py": b"x = 1\n", "kit/pkg/deep/b.py": b"\0\xff"}
    modes = {stat.S_IMODE(p.stat().st_mode) for p in into.rglob("*") if p.is_file()}
    folders = {stat.S_IMODE(p.stat().st_mode) for p in (into, *into.rglob("*")) if p.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_only_wanted_files_are_written(target, into) -> None:
    """A nested zip, for example, is never looked into."""
    inner = zipped(target.with_name("inner.zip"), "../evil.py").read_bytes()
    zipped(target, "a.py", ("nested.zip", inner), "data.bin")
    extract(target, into, lambda name: name.endswith(".py"))
    assert list(written(into)) == ["a.py"]


def test_a_nested_zip_is_a_file_like_any_other(target, into) -> None:
    """It is written, not extracted."""
    inner = zipped(target.with_name("inner.zip"), "../evil.py").read_bytes()
    zipped(target, ("nested.zip", inner))
    extract(target, into)
    assert written(into) == {"nested.zip": inner}


def test_files_left_by_tools_are_ignored(target, into) -> None:
    """Hidden files, environments and macOS folders, even links in them; our markers are kept."""
    apart = [".git/x.py", ".venv/a.py", "kit/.DS_Store", "__MACOSX/._a.py", "k/__pycache__/a.pyc"]
    link = entry("kit/.venv/bin/python", stat.S_IFLNK)
    zipped(target, *apart, link, "kit/venv/a.py", "kit/.archprep.json", "kit/a.py")
    extract(target, into)
    assert sorted(written(into)) == ["kit/.archprep.json", "kit/a.py"]


def test_a_zip_made_by_python_is_extracted(tmp_path, into) -> None:
    """With Python's own command, as a candidate may use it."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "a.py").write_bytes(b"x = 1\n" * 1000)
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "x.zip", "kit"], cwd=tmp_path, check=True
    )
    extract(tmp_path / "x.zip", into)
    assert written(into) == {"kit/a.py": b"x = 1\n" * 1000}


def test_sizes_may_follow_the_data(target, into) -> None:
    """A zip written to a pipe has sizes only after each file."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.py", b"x = 1\n" * 1000)
        made.writestr("b.py", b"")
    target.write_bytes(pipe.data)
    extract(target, into)
    assert written(into) == {"a.py": b"x = 1\n" * 1000, "b.py": b""}


def test_names_like_options_are_just_names(target, into) -> None:
    """Names are never passed to a shell or a command."""
    zipped(target, "-rf", "$(touch x).py")
    extract(target, into)
    assert sorted(written(into)) == ["$(touch x).py", "-rf"]


def test_the_target_folder_may_not_be_a_link(target, into, tmp_path) -> None:
    """Nothing is written through a link, even one put there meanwhile."""
    into.parent.mkdir()
    into.symlink_to(tmp_path)
    zipped(target, "a.py")
    with pytest.raises(UsageError, match="cannot be written"):
        extract(target, into)
    assert not (tmp_path / "a.py").exists()


def test_a_folder_that_is_not_empty_is_left_alone(target, into) -> None:
    """It may contain someone's files."""
    into.mkdir(parents=True)
    (into / "theirs.txt").write_text("kept")
    zipped(target, "a.py")
    with pytest.raises(UsageError, match="is not empty"):
        extract(target, into)
    assert written(into) == {"theirs.txt": b"kept"}


def test_a_full_disk_is_not_the_archives_fault(target, into, monkeypatch) -> None:
    """It is a plain UsageError: nobody is marked down for it, and nothing is left."""
    zipped(target, "a.py", "b.py")
    real = os.open

    def opened(path, flags, *args, **kwargs):
        if path == "b.py":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(UsageError, match="No space left") as caught:
        extract(target, into)
    assert not isinstance(caught.value, RefusedError)
    assert not into.exists()


def test_no_descriptor_is_left_open(target, into, tmp_path) -> None:
    """Neither after success nor after a refusal."""
    zipped(target, "a/b/c.py")
    zipped(tmp_path / "bad.zip", "a/b/c.py", "a/b/c.py")
    before = descriptors()
    for number in range(3):
        extract(target, into / str(number))
        with pytest.raises(RefusedError):
            extract(tmp_path / "bad.zip", into / "bad")
    assert descriptors() == before


def test_the_limits_are_wider_than_those_of_freezing() -> None:
    """What one exercise may contain never fails here first."""
    assert submission_rules.MAX_WRITTEN >= submission.MAX_FILES
    assert submission_rules.MAX_TOTAL_BYTES >= 2 * submission.MAX_TOTAL_BYTES
    assert submission_rules.MAX_DEPTH > submission.MAX_DEPTH
