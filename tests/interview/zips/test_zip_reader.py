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
    assert "is a link" in refusal(zipped(target, *entries), into)
    assert not Path("/tmp/evil.py").exists()


@pytest.mark.parametrize(
    "kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_special_files_are_refused(target, into, kind) -> None:
    path = zipped(target, entry("a.py", kind))
    assert "a.py is not a regular file" in refusal(path, into)


def test_a_link_in_place_of_the_archive(tmp_path, into) -> None:
    zipped(tmp_path / "real.zip", "a.py")
    (tmp_path / "link.zip").symlink_to("real.zip")
    assert refusal(tmp_path / "link.zip", into) == "link.zip is a link."


def test_a_pipe_in_place_of_the_archive_is_not_waited_for(tmp_path, into) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    assert refusal(tmp_path / "pipe.zip", into) == "pipe.zip is not a regular file."


@pytest.mark.parametrize("extension", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tar_is_told_what_is_taken(tmp_path, into, extension) -> None:
    path = tmp_path / f"alice.{extension}"
    with tarfile.open(path, f"w:{extension.partition('.')[2]}") as tar:
        link = tarfile.TarInfo("answer.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "is not a zip archive: it looks like tar" in refusal(path, into)


def test_encrypted_entries(target, into) -> None:
    target.write_bytes(with_flags(zipped(target, "a.py").read_bytes(), 0x1))
    assert "a.py is encrypted" in refusal(target, into)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93, 99])
def test_other_methods(target, into, method) -> None:
    """Deflate is what every tool makes unasked; the others expand further, or are unknown."""
    data = bytearray(zipped(target, "a.py").read_bytes())
    struct.pack_into("<H", data, data.find(b"PK\1\2") + 10, method)
    target.write_bytes(data)
    assert "method other than deflate" in refusal(target, into)


@pytest.mark.parametrize("keep", [0, 3, 4, 22, 40, 100, -1, -10, -22])
def test_truncated(target, into, keep) -> None:
    """Wherever it was cut; an empty file is none at all."""
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
def test_not_a_zip_at_all(target, into, data, says) -> None:
    target.write_bytes(data)
    assert says in refusal(target, into)


def test_a_huge_archive_is_not_read(target, into) -> None:
    with target.open("wb") as file:
        file.truncate(2**40)  # sparse
    assert "is larger than 64 MiB" in refusal(target, into)


def test_a_wrong_checksum(target, into) -> None:
    data = zipped(target, ("a.py", b"x = 1\n")).read_bytes()
    target.write_bytes(data.replace(b"x = 1\n", b"x = 2\n", 1))
    assert "is damaged" in refusal(target, into)


def test_another_name_before_the_data(target, into) -> None:
    """Tools that read from the front would unpack another file than the table of contents says."""
    data = zipped(target, "a.py").read_bytes()
    target.write_bytes(data.replace(b"a.py", b"b.py", 1))
    assert "is damaged" in refusal(target, into)


def test_any_damage_is_a_sentence(tmp_path, into) -> None:
    """Random bytes anywhere: refused or unpacked, never another exception."""
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
