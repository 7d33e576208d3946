"""Zip bombs are refused early, whatever sizes they declare."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib

import pytest
from interview.zips.zip_samples import (
    bomb,
    declare_size,
    entry,
    many,
    measured,
    refusal,
    written,
    zipped,
)

from archprep.interview import submission_rules
from archprep.interview.zips.extract import extract


@pytest.mark.parametrize(
    ("count", "says"),
    [(100_000, "lists too many files"), (60_000, "lists more than 20,000 files")],
)
def test_a_hundred_thousand_entries_are_refused_early(target, into, count, says) -> None:
    """Before they are listed: in a fraction of a second and a few MiB."""
    target.write_bytes(many(count))
    took, grown, said = measured(target, into)
    assert says in said
    assert took < 1
    assert grown < 16
    assert not into.exists()


def test_as_many_entries_as_are_allowed_are_read_in_time(target, into) -> None:
    """The largest directory that is read takes less than a second."""
    target.write_bytes(many(submission_rules.MAX_ENTRIES))
    took, grown, said = measured(target, into)
    assert "exceeds the limit of 5,000 files and folders" in said
    assert took < 1
    assert grown < 64


def test_a_lie_about_the_number_of_entries_changes_nothing(target, into) -> None:
    """The entries are counted, not the number in the end record."""
    data = bytearray(many(60_000))
    struct.pack_into("<2H", data, len(data) - 14, 3, 3)
    target.write_bytes(data)
    assert "lists more than 20,000 files" in refusal(target, into)


def test_a_bomb_with_its_true_size_is_refused_early(target, into) -> None:
    """Before a byte is extracted."""
    took, grown, said = measured(bomb(target), into)
    assert "contains more than 32 MiB once unpacked" in said
    assert took < 1
    assert grown < 8


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (20 * 2**20, "unpacks to more than 100 times its size"),
        (2**16 + 1, "is larger than the archive says"),
    ],
)
def test_a_bomb_with_a_false_size_is_stopped(target, into, declared, says) -> None:
    """The output is counted; extraction stops soon after the limit."""
    declare_size(bomb(target), declared)
    took, grown, said = measured(target, into)
    assert says in said
    assert took < 1
    assert grown < 8
    assert not into.exists()


def test_a_size_that_is_too_small_is_refused(target, into) -> None:
    """Even with the right checksum of the beginning, which zipfile would accept."""
    text = b"x = 1\n" * 20_000
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), text))
    declare_size(target, 6, zlib.crc32(text[:6]))
    assert "a.py is larger than the archive says" in refusal(target, into)


def test_a_size_that_is_slightly_too_small_is_refused(target, into) -> None:
    """Also within one block."""
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), b"x = 1\ny = 2\n"))
    declare_size(target, 6, zlib.crc32(b"x = 1\n"))
    assert "alice.zip is damaged" in refusal(target, into)


def test_a_size_that_is_too_large_is_refused(target, into) -> None:
    """Its file is shorter than declared."""
    declare_size(zipped(target, "a.py"), 1000)
    assert "a.py is shorter than the archive says" in refusal(target, into)


def test_many_files_may_not_exceed_the_total(target, into) -> None:
    """None of them is too large on its own."""
    noise = random.Random(1).randbytes(2**20)
    zipped(target, *((f"{number}.py", noise) for number in range(40)))
    assert "contains more than 32 MiB once unpacked" in refusal(target, into)


def test_a_small_file_may_be_packed_tightly(target, into) -> None:
    """The ratio counts only above a minimum size."""
    text = b"# \n" * 2**16
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), text))
    extract(target, into)
    assert written(into) == {"a.py": text}


def test_entries_that_share_data_are_refused(target, into) -> None:
    """CVE-2024-0450: zipfile checks this only since 3.11.8 and 3.12.2."""
    zipped(target, ("a.py", b"#" * 1000), ("b.py", b"#" * 1000))
    data = bytearray(target.read_bytes())
    at = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, at + 42, 0)  # b begins where a does
    target.write_bytes(data)
    assert "overlaps another entry" in refusal(target, into)


def test_a_header_in_the_extra_field_of_another_entry_is_refused(target, into) -> None:
    """The other way to share data: one entry's extra field covers the next header."""
    zipped(target, ("a.py", b""), ("b.py", b"#" * 1000))
    data = bytearray(target.read_bytes())
    struct.pack_into("<H", data, 28, 34)  # a's extras: b's header
    struct.pack_into("<2L", data, data.find(b"PK\1\2") + 20, 1000, 1000)
    target.write_bytes(data)
    assert "overlaps another entry" in refusal(target, into)


def test_a_quoted_bomb_is_refused_quickly(target, into) -> None:
    """Thousands of entries that share one kernel of zeros."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(2**20)) + kernel.flush()
    fields = struct.pack(
        "<5H3L2H", 20, 0, 8, 0, 33, zlib.crc32(bytes(2**20)), len(packed), 2**20, 4, 0
    )
    local = b"PK\3\4" + fields + b"a.py" + packed
    tail = struct.pack("<3H2L", 0, 0, 0, 0, 0)
    names = [f"{n:04}".encode() for n in range(5000)]
    central = b"".join(b"PK\1\2" + struct.pack("<H", 20) + fields + tail + n for n in names)
    end = struct.pack("<4H2LH", 0, 0, 5000, 5000, len(central), len(local), 0)
    target.write_bytes(local + central + b"PK\5\6" + end)
    took, grown, said = measured(target, into)
    assert "overlaps another entry" in said
    assert took < 1
    assert grown < 24
