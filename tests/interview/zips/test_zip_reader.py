"""Links, special files, damage and other formats are refused with a sentence."""

from __future__ import annotations

import os
import random
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from interview.zips.zip_samples import entry, refusal, with_flags, zipped

from archprep.interview.submission_rules import RefusedError
from archprep.interview.zips.extract import extract


@pytest.mark.parametrize(
    "entries",
    [
        [(entry("passwd", stat.S_IFLNK), b"/etc/passwd")],
        [(entry("answer.py", stat.S_IFLNK), b"/etc/passwd")],
        [(entry("pkg", stat.S_IFLNK), b"/tmp"), "pkg/evil.py"],
        [(entry("pkg/", stat.S_IFLNK), b"/tmp"), "pkg/evil.py"],
        [(entry("answer.py", stat.S_IFLNK, create_system=0), b"/etc/passwd")],
    ],
    ids=["file", "code", "folder", "folder-with-slash", "said-to-be-from-dos"],
)
def test_links_are_refused(target, into, entries) -> None:
    """Attack 56: to files, to folders, and with a slash at the end."""
    assert "is a link" in refusal(zipped(target, *entries), into)
    assert not Path("/tmp/evil.py").exists()


@pytest.mark.parametrize(
    "kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_special_files_are_refused(target, into, kind) -> None:
    """Pipes, devices and sockets, and a folder's mode on a file's name."""
    path = zipped(target, entry("a.py", kind))
    assert "a.py is not a regular file" in refusal(path, into)


def test_a_link_to_an_archive_is_refused(tmp_path, into) -> None:
    """It could lead to any file of the machine."""
    zipped(tmp_path / "real.zip", "a.py")
    (tmp_path / "link.zip").symlink_to("real.zip")
    assert refusal(tmp_path / "link.zip", into) == "link.zip is a link."


def test_a_pipe_is_refused_without_waiting(tmp_path, into) -> None:
    """Opening it must not block."""
    os.mkfifo(tmp_path / "pipe.zip")
    assert refusal(tmp_path / "pipe.zip", into) == "pipe.zip is not a regular file."


@pytest.mark.parametrize("extension", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_archive_is_refused_as_such(tmp_path, into, extension) -> None:
    """The message says what it looks like."""
    path = tmp_path / f"alice.{extension}"
    with tarfile.open(path, f"w:{extension.partition('.')[2]}") as tar:
        link = tarfile.TarInfo("answer.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "is not a zip archive: it looks like tar" in refusal(path, into)


def test_encrypted_entries_are_refused(target, into) -> None:
    """Nobody knows the password."""
    target.write_bytes(with_flags(zipped(target, "a.py").read_bytes(), 0x1))
    assert "a.py is encrypted" in refusal(target, into)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93, 99])
def test_other_compression_methods_are_refused(target, into, method) -> None:
    """Every tool uses deflate by default; others expand further or are unknown."""
    data = bytearray(zipped(target, "a.py").read_bytes())
    struct.pack_into("<H", data, data.find(b"PK\1\2") + 10, method)
    target.write_bytes(data)
    assert "method other than deflate" in refusal(target, into)


@pytest.mark.parametrize("keep", [0, 3, 4, 22, 40, 100, -1, -10, -22])
def test_a_truncated_archive_is_refused(target, into, keep) -> None:
    """Wherever it was cut; an empty file is not an archive."""
    data = zipped(target, "a.py", "b.py").read_bytes()
    target.write_bytes(data[:keep])
    said = refusal(target, into)
    assert said in {
        "alice.zip is damaged: it is truncated or not a valid zip archive.",
        "alice.zip is not a zip archive.",
    }
    assert ("damaged" in said) == data[:keep].startswith(b"PK")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"just text", "is not a zip archive."),
        (b"\x89PNG\r\n" * 1000, "is not a zip archive."),
        (b"7z\xbc\xaf\x27\x1c" + b"x" * 100, "looks like 7z or rar"),
        (b"Rar!\x1a\x07" + b"x" * 100, "looks like 7z or rar"),
    ],
)
def test_a_file_of_another_kind_is_refused(target, into, data, says) -> None:
    """The message says what it looks like, if that is known."""
    target.write_bytes(data)
    assert says in refusal(target, into)


def test_a_huge_archive_is_not_read(target, into) -> None:
    """Its size is enough to refuse it."""
    with target.open("wb") as file:
        file.truncate(2**40)  # sparse
    assert "is larger than 64 MiB" in refusal(target, into)


def test_a_wrong_checksum_is_refused(target, into) -> None:
    """The archive is damaged."""
    data = zipped(target, ("a.py", b"x = 1\n")).read_bytes()
    target.write_bytes(data.replace(b"x = 1\n", b"x = 2\n", 1))
    assert "is damaged" in refusal(target, into)


def test_two_names_for_one_entry_are_refused(target, into) -> None:
    """Tools that read from the front would extract another file than the directory lists."""
    data = zipped(target, "a.py").read_bytes()
    target.write_bytes(data.replace(b"a.py", b"b.py", 1))
    assert "is damaged" in refusal(target, into)


def test_random_damage_never_raises_another_error(tmp_path, into) -> None:
    """Each archive is either extracted or refused."""
    rng = random.Random(7)
    deflated = entry("kit/b.py", compress_type=zipfile.ZIP_DEFLATED)
    sound = zipped(tmp_path / "x.zip", "kit/a.py", (deflated, b"y = 2\n" * 50)).read_bytes()
    seen = set()
    for number in range(400):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] = rng.choice((0, 255, rng.randrange(256)))
        path = tmp_path / "damaged.zip"
        path.write_bytes(data)
        try:
            extract(path, into / str(number))
        except RefusedError as error:
            seen.add(error.message)
    assert len(seen) > 5
