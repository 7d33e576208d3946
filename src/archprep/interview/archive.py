"""Reads zip archives, which may be anybody's.

All names, kinds and declared sizes are checked before the first file is written; what is written
is counted, whatever was declared. Memory and time are bounded by the limits below. Files of tools
(hidden ones, virtual environments) are passed over, as `intake` does.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import stat as modes
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.workspace import submission
from archprep.workspace.folder import MARKER

MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_DIRECTORY_BYTES = 4 * 2**20  # of its table of contents, which zipfile reads at once
MAX_ENTRIES = 20_000  # somebody's virtual environment may be among them
MAX_WRITTEN = submission.MAX_ENTRIES  # files and folders
MAX_TOTAL_BYTES = 32 * 2**20
MAX_RATIO = 100
UNSUSPICIOUS_BYTES = 2**20  # a small file may be packed as tightly as it likes
MAX_PATH = 255
MAX_DEPTH = submission.MAX_DEPTH + 4
KEPT = frozenset({MARKER, ".archprep-begun.json"})  # hidden files of our own

_CHUNK = 2**16
_OURS = "This is no fault of the archive: make room, or name another folder."
_ZIP_AGAIN = "Have it zipped again: the folder of the kit, with nothing added."
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # the file, strongly, the names
_ENTRY = b"PK\x01\x02"  # begins each line of the table of contents
_HEADER = struct.Struct("<4s22xHH")  # before each file's data: mark, length of name and of extras
_MARK = b"PK\x03\x04"
_SKIPPED = frozenset({"venv", "node_modules", "__pycache__", "site-packages", "__MACOSX"})
_DRIVE = re.compile(r"[A-Za-z]:")
_TARS = ((257, b"ustar"), (0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ"))
_OTHERS = ((0, b"7z\xbc\xaf\x27\x1c"), (0, b"Rar!"))

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# What zipfile raises about bytes that it cannot make sense of.
_NONSENSE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, LookupError,
    ArithmeticError, RuntimeError,
)  # fmt: skip


class RefusedError(UsageError):
    """What is wrong with something handed in: its maker's doing, not this machine's."""


def _all(_: str) -> bool:
    return True


def unpack(archive: Path, into: Path, wanted: Callable[[str], bool] = _all) -> None:
    """Write the files of a zip whose names are `wanted` into a new or empty folder.

    RefusedError, and nothing is written, if any entry breaks a rule; a plain UsageError if it is
    this machine that cannot write. Files become 0600, folders 0700.
    """
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(_opened(archive))
        opened.enter_context(_understood(archive.name, file))
        zipped = opened.enter_context(zipfile.ZipFile(file))
        unpacking = _Unpacking(archive.name, file, zipped)
        files = unpacking.plan(wanted)
        top = opened.enter_context(_filled(into))
        for name, info in files:
            unpacking.write(name, info, top)


def is_apart(name: str) -> bool:
    """Whether a path is what tools leave beside the work: never read, so never looked into."""
    *folders, last = name.rstrip("/").split("/")
    hidden = any(part.startswith(".") for part in folders)
    return hidden or is_left(last) or not _SKIPPED.isdisjoint(folders)


def is_left(name: str) -> bool:
    """Whether a file or folder of this name is passed over, wherever it lies."""
    return (name.startswith(".") and name not in KEPT) or name in _SKIPPED


# ------------------------------------------------------------------ opening what may be anything


class _Watched(io.BufferedReader):
    """A file of which nobody reads more at once than a sound table of contents can be.

    Here rather than by a look at the end record, of which an archive may hold several: this bounds
    what zipfile does whichever it believes.
    """

    def __init__(self, raw: io.FileIO, name: str) -> None:
        super().__init__(raw)
        self.archive = name

    def read(self, size: int | None = -1, /) -> bytes:
        most = MAX_DIRECTORY_BYTES if size is None or size < 0 else size
        if most > MAX_DIRECTORY_BYTES:
            raise _refused(self.archive, f"lists too many files: {most:,} bytes of names")
        data = super().read(most)
        if data.count(_ENTRY) > MAX_ENTRIES:
            raise _refused(self.archive, f"lists more than {MAX_ENTRIES:,} files")
        return data


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[_Watched]:
    try:
        file = _Watched(io.FileIO(os.open(archive, _READ), "rb"), archive.name)
    except OSError as error:
        is_link = archive.is_symlink()
        problem = "is a link" if is_link else f"cannot be read ({error.strerror})"
        tip = "Put the archive itself in its place." if is_link else "Is it there, and readable?"
        raise _refused(archive.name, problem, tip) from error
    with file:
        status = os.fstat(file.fileno())
        if not modes.S_ISREG(status.st_mode):
            raise _refused(archive.name, "is not a regular file", "Name a zip archive.")
        if status.st_size > MAX_ARCHIVE_BYTES:
            raise _refused(archive.name, f"is larger than {MAX_ARCHIVE_BYTES // 2**20} MiB")
        yield file


@contextlib.contextmanager
def _understood(name: str, file: _Watched) -> Iterator[None]:
    """Turn what zipfile says about bytes it cannot read into a sentence."""
    try:
        yield
    except _NONSENSE as error:
        raise _nonsense(name, file) from error
    except OSError as error:
        raise _refused(name, f"cannot be read ({error.strerror or 'no reason given'})") from error


def _nonsense(name: str, file: _Watched) -> RefusedError:
    file.seek(0)
    start = file.read(512)
    tip = "Only zip archives and folders are taken: have it handed in as a zip."
    for marks, kind in ((_TARS, "tar"), (_OTHERS, "7z or rar")):
        if any(start.startswith(mark, at) for at, mark in marks):
            return _refused(name, f"is no zip archive: it looks like {kind}", tip)
    if start.startswith(b"PK"):
        return _refused(name, "is damaged: it is cut short, or not as a zip archive must be")
    return _refused(name, "is no zip archive", tip)


def _refused(archive: str, problem: str, tip: str = _ZIP_AGAIN) -> RefusedError:
    return RefusedError(f"{_shown(archive)} {problem}.", tip=tip)


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in sanitize(name, 200))


# ------------------------------------------------------------------ names


def _flaw(name: str) -> str | None:
    """The rule for names that `name` breaks: it would lie elsewhere, or look like another."""
    parts = name.removesuffix("/").split("/")
    rules = (
        (not name.isprintable() or name != sanitize(name, len(name)), "has unusual characters"),
        (name.startswith("/"), "is an absolute path"),
        ("\\" in name, "has a backslash in its name"),
        (_DRIVE.match(name), "names a drive"),
        (".." in parts, "leads out of its folder"),
        ("" in parts or "." in parts, "does not name its place plainly"),
    )
    return next((problem for broken, problem in rules if broken), None)


def _oversize(name: str) -> str | None:
    if len(name.encode()) > MAX_PATH:
        return f"has a path of over {MAX_PATH} bytes"
    if name.count("/") > MAX_DEPTH:
        return f"lies deeper than {MAX_DEPTH} folders"
    return None


class _Names:
    """Names already taken, as the least discerning file system sees them."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, bool]] = {}

    def add(self, name: str, *, folder: bool) -> str | None:
        """Take a name and its folders; what is wrong with it, if anything is."""
        parts = name.rstrip("/").split("/")
        for depth in range(1, len(parts)):
            if problem := self._take("/".join(parts[:depth]), folder=True):
                return problem
        return self._take("/".join(parts), folder=folder)

    def _take(self, name: str, *, folder: bool) -> str | None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
        earlier, was_folder = self._taken.setdefault(folded, (name, folder))
        if earlier != name:
            return f"differs from {_shown(earlier)} only in case or accents"
        if folder != was_folder:
            return "is both a file and a folder"
        if len(self._taken) > MAX_WRITTEN:
            return f"comes after {MAX_WRITTEN:,} files and folders: that is too many"
        return None


# ------------------------------------------------------------------ unpacking


@dataclass
class _Unpacking:
    """One archive. No file exceeds what it declares, so that all together do not either."""

    archive: str
    file: _Watched
    zipped: zipfile.ZipFile
    names: _Names = field(default_factory=_Names)
    files: set[str] = field(default_factory=set)

    def plan(self, wanted: Callable[[str], bool]) -> list[tuple[str, zipfile.ZipInfo]]:
        """The files to write, by name. Every entry has been checked."""
        entries = self.zipped.infolist()
        self._check_apart(entries)
        named = ((self._name(info), info) for info in entries)
        found = [(n, i) for n, i in named if n and self._is_taken(n, i, wanted)]
        if sum(info.file_size for _, info in found) > MAX_TOTAL_BYTES:
            limit = MAX_TOTAL_BYTES // 2**20
            raise _refused(self.archive, f"holds more than {limit} MiB once unpacked")
        return found

    def write(self, name: str, info: zipfile.ZipInfo, top: int) -> None:
        """Write one file below the folder `top`; as much as there is, not as was declared."""
        # Where a chunk cannot be read it is the archive's fault, else this machine's.
        with writing(Path(name)), _created(name, top) as target:
            for chunk in self._chunks(name, info):
                target.write(chunk)

    def _name(self, info: zipfile.ZipInfo) -> str:
        """The name of an entry: "" for the top itself, as some tools list it."""
        # zipfile cuts the name at a NUL; the original has it still.
        name = info.orig_filename if "\0" in info.orig_filename else info.filename
        if name == "./":
            return ""
        name = name.removeprefix("./")
        if problem := _flaw(name):
            raise self._refusal(name, problem)
        return name

    def _is_taken(self, name: str, info: zipfile.ZipInfo, wanted: Callable[[str], bool]) -> bool:
        """Whether it is a file to write; refuses what none may be."""
        if is_apart(name):
            return False
        self._check_kind(name, info)
        folder = name.endswith("/")
        if not folder and not wanted(name):
            return False
        if problem := _oversize(name) or self.names.add(name, folder=folder):
            raise self._refusal(name, problem)
        if name in self.files:
            raise self._refusal(name, "comes twice")
        self.files.add(name)
        return not folder

    def _check_kind(self, name: str, info: zipfile.ZipInfo) -> None:
        kind = modes.S_IFMT(info.external_attr >> 16)
        if kind == modes.S_IFLNK:
            raise self._refusal(name, "is a link")
        if kind not in (0, modes.S_IFDIR if name.endswith("/") else modes.S_IFREG):
            raise self._refusal(name, "is not a regular file")
        if info.flag_bits & _ENCRYPTED:
            raise self._refusal(name, "is encrypted")
        if info.compress_type not in _METHODS:
            raise self._refusal(name, "is compressed by a method other than deflate")

    def _check_apart(self, entries: list[zipfile.ZipInfo]) -> None:
        """No two entries share bytes: how a small archive holds a large one many times.

        zipfile itself looks since 3.11.8 and 3.12.2 only (CVE-2024-0450).
        """
        end = self.zipped.start_dir
        for info in sorted(entries, key=lambda info: info.header_offset, reverse=True):
            if self._end(info) > end:
                raise self._refusal(info.filename, "overlaps another entry, or the end")
            end = info.header_offset

    def _end(self, info: zipfile.ZipInfo) -> int:
        self.file.seek(info.header_offset)
        mark, name, extra = _HEADER.unpack(self.file.read(_HEADER.size))
        if mark != _MARK:
            raise self._refusal(info.filename, "is not where the archive says")
        return int(info.header_offset + _HEADER.size + name + extra + info.compress_size)

    def _chunks(self, name: str, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The contents, counted. Ends in a refusal when they are more or less than declared."""
        declared, size = info.file_size, 0
        info.file_size = MAX_TOTAL_BYTES + _CHUNK  # else zipfile hides what exceeds it
        allowed = max(UNSUSPICIOUS_BYTES, MAX_RATIO * info.compress_size)
        with _understood(self.archive, self.file), self.zipped.open(info) as source:
            for chunk in iter(functools.partial(source.read, _CHUNK), b""):
                size += len(chunk)
                if size > min(declared, allowed):
                    raise self._refusal(name, _excess(size, declared))
                yield chunk
        if size != declared:
            raise self._refusal(name, "is shorter than the archive says")

    def _refusal(self, name: str, problem: str) -> RefusedError:
        return _refused(self.archive, f"is refused: {_shown(name)} {problem}")


def _excess(size: int, declared: int) -> str:
    if size > declared:
        return "is larger than the archive says"
    return f"unpacks to more than {MAX_RATIO} times its size"


# ------------------------------------------------------------------ writing


@contextlib.contextmanager
def _filled(into: Path) -> Iterator[int]:
    """The descriptor of a new or empty folder, which is gone if it is not filled to the end."""
    with writing(into):
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        top = os.open(into, _FOLDER)
        with os.scandir(top) as entries:
            empty = next(entries, None) is None
        if not empty:
            os.close(top)
            raise UsageError(f"{sanitize(str(into), 300)} is not empty.", tip="Name a new folder.")
    try:
        yield top
    except BaseException:
        submission.discard(into)
        raise
    finally:
        os.close(top)


@contextlib.contextmanager
def _created(name: str, top: int) -> Iterator[io.BufferedWriter]:
    """A new file, and its folders; each opened in the one before, none through a link."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as opened:
        parent = top
        for folder in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=parent)
            parent = os.open(folder, _FOLDER, dir_fd=parent)
            opened.callback(os.close, parent)
        descriptor = os.open(last, _WRITE, 0o600, dir_fd=parent)
        yield opened.enter_context(os.fdopen(descriptor, "wb"))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn this machine's refusal to write into a sentence."""
    try:
        yield
    except FileExistsError as error:
        raise UsageError(
            f"{sanitize(str(path), 300)} is there already.",
            tip="Nothing was written. Move it away.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(path), 300)} cannot be written: {error.strerror or error}.", tip=_OURS
        ) from error
