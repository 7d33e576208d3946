"""Hashes of submitted files, within bounds of size, number and depth."""

from __future__ import annotations

import hashlib
import os
import stat as modes
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from archprep.interview import submission_rules as rules
from archprep.interview.submission_rules import RefusedError
from archprep.interview.submissions.untrusted_files import ASK_FOR_ZIP, READ
from archprep.workspace import submission

_CHUNK = 2**20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def of_file(path: str | Path, limit: int, within: int | None = None) -> str:
    """Return the sha256 of a file; of one larger than `limit`, of its beginning and its size.

    `path` is relative to the folder with the descriptor `within`, if that is given.
    """
    with open(os.open(path, READ, dir_fd=within), "rb") as file:  # noqa: PTH123 - by descriptor
        status = os.fstat(file.fileno())
        if not modes.S_ISREG(status.st_mode):
            return "not a regular file"
        total, left = hashlib.sha256(), limit
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            total.update(chunk)
            left -= len(chunk)
    if status.st_size > limit:
        total.update(f"\0{status.st_size}".encode())
    return total.hexdigest()


def of_folder(root: Path, source: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Return the hashes of a folder's wanted files, by path; `source` names it in errors."""
    return _Walk(source, wanted).run(root)


def combined(hashes: dict[str, str]) -> str:
    """Return one hash for all files of a folder."""
    lines = (os.fsencode(f"{name}\0{digest}\n") for name, digest in sorted(hashes.items()))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def below(place: Path, root: Path, hashes: dict[str, str]) -> dict[str, str]:
    """Return the hashes of the files in `place`, which is `root` or a folder below it."""
    prefix = "" if place == root else f"{place.relative_to(root).as_posix()}/"
    return {k.removeprefix(prefix): v for k, v in hashes.items() if k.startswith(prefix)}


@dataclass
class _Walk:
    source: str
    wanted: Callable[[str], bool]
    hashes: dict[str, str] = field(default_factory=dict)
    entries: int = 0

    def run(self, root: Path) -> dict[str, str]:
        self._enter(os.fspath(root), None, "")
        return self.hashes

    def _enter(self, name: str, parent: int | None, path: str) -> None:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
        try:
            with os.scandir(descriptor) as listed:
                found = [entry for entry in listed if self._counts(entry)]
            for entry in found:
                self._visit(entry, descriptor, f"{path}{entry.name}")
        finally:
            os.close(descriptor)

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        self.entries += 1
        if self.entries > rules.MAX_ENTRIES:
            raise RefusedError(
                f"{self.source} contains more than {rules.MAX_ENTRIES:,} files and folders.",
                tip=ASK_FOR_ZIP,
            )
        return not rules.is_ignored(entry.name)

    def _visit(self, entry: os.DirEntry[str], parent: int, path: str) -> None:
        if entry.is_symlink():
            self.hashes[path] = "link"
        elif entry.is_dir(follow_symlinks=False):
            # Deeper folders are refused when they are frozen, if they belong to a workspace.
            if path.count("/") < rules.MAX_DEPTH:
                self._enter(entry.name, parent, f"{path}/")
        elif self.wanted(path):
            self._hash(entry.name, parent, path)

    def _hash(self, name: str, parent: int, path: str) -> None:
        if len(self.hashes) == rules.MAX_WRITTEN:
            raise RefusedError(
                f"{self.source} contains more than {rules.MAX_WRITTEN:,} files of code.",
                tip=ASK_FOR_ZIP,
            )
        # One byte more than may be frozen: larger files are refused there.
        self.hashes[path] = of_file(name, submission.MAX_FILE_BYTES + 1, parent)
