"""Zips of any kind, and what it costs to extract them."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from archprep.interview.submission_rules import RefusedError
from archprep.interview.zips.extract import extract


def written(into: Path) -> dict[str, bytes]:
    return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}


def entry(name: str, kind: int = 0, **changes: object) -> zipfile.ZipInfo:
    """An entry, with the mode bits of `kind`."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16 if kind else 0
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def zipped(path: Path, *entries: str | zipfile.ZipInfo | tuple[zipfile.ZipInfo | str, bytes]):
    """A zip of these entries, some with their contents."""
    with zipfile.ZipFile(path, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about duplicate names
        for one in entries:
            info, data = one if isinstance(one, tuple) else (one, b"x = 1\n")
            made.writestr(info, data)
    return path


def refusal(path: Path, into: Path) -> str:
    """The message when the archive is refused; nothing is left behind."""
    with pytest.raises(RefusedError) as caught:
        extract(path, into)
    assert not into.exists()
    assert caught.value.tip
    assert caught.value.message.startswith(path.name)
    assert caught.value.message.isprintable()
    return caught.value.message


def with_flags(data: bytes, bits: int) -> bytes:
    """The archive with these flags in every entry."""
    found = bytearray(data)
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(mark)
        while place >= 0:
            (flags,) = struct.unpack_from("<H", found, place + at)
            struct.pack_into("<H", found, place + at, flags | bits)
            place = data.find(mark, place + 4)
    return bytes(found)


PEAK = """
import sys, time
from pathlib import Path

def peak():
    # Not ru_maxrss on Linux: a process begins with that of the one which started it.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

"""


UNPACKED = """
from archprep.interview.submission_rules import RefusedError
from archprep.interview.zips.extract import extract
begun, before = time.perf_counter(), peak()
try:
    extract(Path(sys.argv[1]), Path(sys.argv[2]))
    said = "unpacked"
except RefusedError as error:
    said = error.message
print(time.perf_counter() - begun, peak() - before, said, sep="|")
"""


def measured(*args: Path, program: str = UNPACKED) -> tuple[float, float, str]:
    """Seconds, MiB above the import, and the message, of a process that extracts."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program, *map(str, args)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    took, grown, said = done.stdout.strip().split("|")
    return float(took), float(grown), said


def many(count: int, name: str = "{:x}") -> bytes:
    """A zip of this many empty files, made quickly."""
    local, central = bytearray(), bytearray()
    for number in range(count):
        text = name.format(number).encode()
        fields = struct.pack("<5H3L2H", 20, 0, 0, 0, 33, 0, 0, 0, len(text), 0)
        at = len(local)
        local += b"PK\3\4" + fields + text
        tail = struct.pack("<3H2L", 0, 0, 0, 0, at)
        central += b"PK\1\2" + struct.pack("<H", 20) + fields + tail + text
    shown = min(count, 0xFFFE)
    end = struct.pack("<4H2LH", 0, 0, shown, shown, len(central), len(local), 0)
    return bytes(local + central + b"PK\5\6" + end)


def bomb(path: Path, megabytes: int = 50) -> Path:
    """One file of zeros, packed to a thousandth of its size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made, made.open("a.py", "w") as file:
        for _ in range(megabytes):
            file.write(bytes(2**20))
    return path


def declare_size(path: Path, size: int, crc: int | None = None) -> None:
    """Change the size that the central directory declares for its last entry."""
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, place + 24, size)
    if crc is not None:
        struct.pack_into("<L", data, place + 16, crc)
    path.write_bytes(data)


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))
