"""Reads a zip archive from anyone.

Names, kinds and declared sizes of all entries are checked before the first one is read; what comes
out is counted, whatever was declared. Memory and time stay within the limits below.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat as modes
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from archprep.interview import submission_rules as rules
from archprep.interview.submission_rules import RefusedError
from archprep.interview.zips import zip_names
from archprep.interview.zips.zip_names import TakenNames, printable

MAX_DIRECTORY_BYTES = 4 * 2**20  # of the central directory, which zipfile reads at once
MAX_RATIO = 100  # of unpacked to packed size
UNSUSPICIOUS_BYTES = 2**20  # smaller files may exceed that ratio

_CHUNK = 2**16
_ZIP_AGAIN = "Zip the kit's folder again, with nothing added to it."
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # the file, strongly, the names
_CENTRAL_MARK = b"PK\x01\x02"  # starts each entry of the central directory
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # mark, length of the name, length of the extra field
_LOCAL_MARK = b"PK\x03\x04"
_TAR_MARKS = ((257, b"ustar"), (0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ"))
_OTHER_MARKS = ((0, b"7z\xbc\xaf\x27\x1c"), (0, b"Rar!"))
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# What zipfile raises for bytes that are not a sound archive.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, LookupError,
    ArithmeticError, RuntimeError,
)  # fmt: skip


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[ZipReader]:
    """Open an archive; RefusedError if it is not one, here or while it is read."""
    with (
        _open_file(path) as file,
        _explained(path.name, file),
        zipfile.ZipFile(file) as archive,
    ):
        yield ZipReader(path.name, file, archive)


class ZipReader:
    """An open archive. No entry yields more bytes than it declares, so the total is bounded too."""

    def __init__(self, name: str, file: _BoundedFile, archive: zipfile.ZipFile) -> None:
        self._name = name
        self._file = file
        self._archive = archive
        self._taken = TakenNames()
        self._seen: set[str] = set()

    def files(self, wanted: Callable[[str], bool]) -> list[tuple[str, zipfile.ZipInfo]]:
        """Return the files whose names are `wanted`, after checking every entry."""
        entries = self._archive.infolist()
        self._check_overlap(entries)
        named = ((self._name_of(info), info) for info in entries)
        found = [(n, i) for n, i in named if n and self._is_wanted_file(n, i, wanted)]
        if sum(info.file_size for _, info in found) > rules.MAX_TOTAL_BYTES:
            limit = rules.MAX_TOTAL_BYTES // 2**20
            raise _refused(self._name, f"contains more than {limit} MiB once unpacked")
        return found

    def chunks(self, name: str, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield a file's contents; RefusedError once they are not as long as declared."""
        declared, size = info.file_size, 0
        info.file_size = rules.MAX_TOTAL_BYTES + _CHUNK  # else zipfile hides the excess
        allowed = max(UNSUSPICIOUS_BYTES, MAX_RATIO * info.compress_size)
        with _explained(self._name, self._file), self._archive.open(info) as source:
            for chunk in iter(functools.partial(source.read, _CHUNK), b""):
                size += len(chunk)
                if size > min(declared, allowed):
                    raise self._refusal(name, _excess(size, declared))
                yield chunk
        if size != declared:
            raise self._refusal(name, "is shorter than the archive says")

    def _name_of(self, info: zipfile.ZipInfo) -> str:
        """The checked name of an entry; "" for the top folder, which some tools list."""
        # zipfile cuts a name at a NUL; the original still has it.
        name = info.orig_filename if "\0" in info.orig_filename else info.filename
        if name == "./":
            return ""
        # Some tools on Windows write its separator. What that leads to is checked like any name.
        name = name.replace("\\", "/").removeprefix("./")
        if problem := zip_names.unsafe(name):
            raise self._refusal(name, problem)
        return name

    def _is_wanted_file(
        self, name: str, info: zipfile.ZipInfo, wanted: Callable[[str], bool]
    ) -> bool:
        if rules.is_ignored_path(name):
            return False
        self._check_kind(name, info)
        is_folder = name.endswith("/")
        if not is_folder and not wanted(name):
            return False
        if problem := zip_names.too_long(name) or self._taken.add(name, is_folder=is_folder):
            raise self._refusal(name, problem)
        if name in self._seen:
            raise self._refusal(name, "appears twice")
        self._seen.add(name)
        return not is_folder

    def _check_kind(self, name: str, info: zipfile.ZipInfo) -> None:
        kind = modes.S_IFMT(info.external_attr >> 16)
        if kind == modes.S_IFLNK:
            raise self._refusal(name, "is a link")
        if kind not in (0, modes.S_IFDIR if name.endswith("/") else modes.S_IFREG):
            raise self._refusal(name, "is not a regular file")
        if info.flag_bits & _ENCRYPTED:
            raise self._refusal(name, "is encrypted")
        if info.compress_type not in _METHODS:
            raise self._refusal(name, "uses a compression method other than deflate")

    def _check_overlap(self, entries: list[zipfile.ZipInfo]) -> None:
        """Refuse entries that share bytes: that is how a small archive holds a large one.

        zipfile checks this itself, but only since 3.11.8 and 3.12.2 (CVE-2024-0450).
        """
        end = self._archive.start_dir
        for info in sorted(entries, key=lambda info: info.header_offset, reverse=True):
            if self._end_of(info) > end:
                raise self._refusal(info.filename, "overlaps another entry or the directory")
            end = info.header_offset

    def _end_of(self, info: zipfile.ZipInfo) -> int:
        self._file.seek(info.header_offset)
        mark, name, extra = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if mark != _LOCAL_MARK:
            raise self._refusal(info.filename, "is not where the archive says")
        return int(info.header_offset + _LOCAL_HEADER.size + name + extra + info.compress_size)

    def _refusal(self, name: str, problem: str) -> RefusedError:
        return _refused(self._name, f"was refused: {printable(name)} {problem}")


def _excess(size: int, declared: int) -> str:
    if size > declared:
        return "is larger than the archive says"
    return f"unpacks to more than {MAX_RATIO} times its size"


# ------------------------------------------------------------------ the file itself


class _BoundedFile(io.BufferedReader):
    """A file that never reads more at once than a sound central directory can take.

    The limit is here rather than in a check of the end record, since an archive may contain
    several: it holds whichever of them zipfile believes.
    """

    def __init__(self, raw: io.FileIO, archive: str) -> None:
        super().__init__(raw)
        self._archive = archive

    def read(self, size: int | None = -1, /) -> bytes:
        most = MAX_DIRECTORY_BYTES if size is None or size < 0 else size
        if most > MAX_DIRECTORY_BYTES:
            raise _refused(self._archive, f"lists too many files: {most:,} bytes of names")
        data = super().read(most)
        if data.count(_CENTRAL_MARK) > rules.MAX_ENTRIES:
            raise _refused(self._archive, f"lists more than {rules.MAX_ENTRIES:,} files")
        return data


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[_BoundedFile]:
    try:
        file = _BoundedFile(io.FileIO(os.open(path, _READ), "rb"), path.name)
    except OSError as error:
        is_link = path.is_symlink()
        problem = "is a link" if is_link else f"cannot be read ({error.strerror})"
        tip = "Replace it with the archive itself." if is_link else "Check its permissions."
        raise _refused(path.name, problem, tip) from error
    with file:
        status = os.fstat(file.fileno())
        if not modes.S_ISREG(status.st_mode):
            raise _refused(path.name, "is not a regular file", "Use a zip archive.")
        if status.st_size > rules.MAX_ARCHIVE_BYTES:
            raise _refused(path.name, f"is larger than {rules.MAX_ARCHIVE_BYTES // 2**20} MiB")
        yield file


@contextlib.contextmanager
def _explained(name: str, file: _BoundedFile) -> Iterator[None]:
    """Turn zipfile's errors into RefusedError."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise _not_a_zip(name, file) from error
    except OSError as error:
        raise _refused(name, f"cannot be read ({error.strerror or 'unknown error'})") from error


def _not_a_zip(name: str, file: _BoundedFile) -> RefusedError:
    file.seek(0)
    start = file.read(512)
    tip = "Only zip archives and folders are accepted."
    for marks, kind in ((_TAR_MARKS, "tar"), (_OTHER_MARKS, "7z or rar")):
        if any(start.startswith(mark, at) for at, mark in marks):
            return _refused(name, f"is not a zip archive: it looks like {kind}", tip)
    if start.startswith(b"PK"):
        return _refused(name, "is damaged: it is truncated or not a valid zip archive")
    return _refused(name, "is not a zip archive", tip)


def _refused(archive: str, problem: str, tip: str = _ZIP_AGAIN) -> RefusedError:
    return RefusedError(f"{printable(archive)} {problem}.", tip=tip)
