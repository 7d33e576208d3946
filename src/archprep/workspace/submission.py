"""Freezes a workspace into a submission: a hashed, read-only copy of the files on an allow-list.

What is run, checked and shown later are exactly these bytes. The folder belongs to the candidate:
every name is opened relative to its directory's descriptor and without following links, so that
nothing from outside gets in, even if files are swapped while they are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from archprep.content import exercise_files
from archprep.core.errors import UsageError
from archprep.core.files import is_litter
from archprep.core.model import Exercise, Submission, SubmittedFile
from archprep.core.sanitize import sanitize

DISCUSSION = "DISCUSSION.md"
MAX_FILES = 200
MAX_FILE_BYTES = 256 * 1024
MAX_TOTAL_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 8
MAX_ENTRIES = 5000
MAX_PATH = 200

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def freeze(directory: Path, exercise: Exercise, stage: Path) -> Submission:
    """Copy what belongs to a submission from `directory` to `stage`, a new or empty folder.

    Raises UsageError for a missing entry file, a link, an unreadable file or too much content.
    """
    if not directory.is_dir():
        raise UsageError(
            f"The folder {sanitize(str(directory), 300)} does not exist.",
            tip=f"Create the workspace with `archprep start {exercise.id}`, or name it with --dir.",
        )
    stage.mkdir(parents=True, exist_ok=True)
    freezer = _Freezer(directory, _named(exercise), stage)
    try:
        freezer.run()
        _require(exercise.entry, freezer.files, directory)
        _seal(stage)
    except BaseException:
        discard(stage)
        raise
    files = tuple(sorted(freezer.files, key=lambda file: file.path))
    return Submission(stage, digest(files), files)


def digest(files: tuple[SubmittedFile, ...]) -> str:
    """Return one hash for all files: sha256 of their sorted paths and hashes."""
    lines = sorted(f"{file.path}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def discard(stage: Path) -> None:
    """Remove a staged copy as far as possible."""
    import shutil

    # By descriptor: by now a path could be a link to a folder elsewhere.
    with contextlib.suppress(OSError):
        for _, _, _, descriptor in os.fwalk(stage):
            os.fchmod(descriptor, 0o700)
    shutil.rmtree(stage, ignore_errors=True)


def _named(exercise: Exercise) -> frozenset[str]:
    return frozenset({*exercise_files.starter_files(exercise), *exercise.entry, DISCUSSION})


def _require(names: tuple[str, ...], files: list[SubmittedFile], directory: Path) -> None:
    present = {file.path for file in files}
    if absent := [name for name in names if name not in present]:
        verb = "is" if len(absent) == 1 else "are"
        raise UsageError(
            f"{' and '.join(absent)} {verb} missing from {sanitize(str(directory), 300)}.",
            tip="If it was renamed or moved, undo that, or name another folder with --dir.",
        )


def _seal(stage: Path) -> None:
    # World-readable: the sandbox may run as another user.
    for _, _, names, descriptor in os.fwalk(stage, topdown=False):
        for name in names:
            os.chmod(name, 0o444, dir_fd=descriptor)
        os.fchmod(descriptor, 0o555)


@dataclass
class _Freezer:
    """One walk through a workspace, and how much of the limits it has used."""

    directory: Path
    named: frozenset[str]
    stage: Path
    files: list[SubmittedFile] = field(default_factory=list)
    names: dict[tuple[int, int], list[PurePosixPath]] = field(default_factory=dict)  # of one file
    entries: int = 0
    size: int = 0

    def run(self) -> None:
        """Copy everything that belongs to the submission."""
        with self._opened(os.fspath(self.directory), _DIRECTORY, None, "") as descriptor:
            self._walk(descriptor, PurePosixPath())
            self._refuse_names_outside(descriptor)

    def _walk(self, descriptor: int, inner: PurePosixPath) -> None:
        for entry in self._listed(descriptor, inner):
            path = inner / entry.name
            if entry.is_symlink():
                self._check_link(path)
            elif entry.is_dir(follow_symlinks=False):
                self._enter(descriptor, path)
            elif self._belongs(path):
                self._take(descriptor, path)

    def _check_link(self, path: PurePosixPath) -> None:
        """Refuse a link to what would be handed in; other links are left out."""
        target = self.directory / path
        if self._belongs(path) or (target.is_dir() and any(target.glob("*.py"))):
            raise self._refusal(path, "is a link", "Put a copy of the file in its place.")

    def _belongs(self, path: PurePosixPath) -> bool:
        return path.suffix == ".py" or str(path) in self.named

    def _listed(self, descriptor: int, inner: PurePosixPath) -> list[os.DirEntry[str]]:
        """The relevant entries, sorted by name; none in a virtual environment."""
        found = []
        with self._explained(inner), os.scandir(descriptor) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    raise self._too_much(f"more than {MAX_ENTRIES:,} files and folders")
                found.append(entry)
        if inner.parts and any(entry.name == "pyvenv.cfg" for entry in found):
            return []
        kept = [e for e in found if not e.name.startswith(".") and not is_litter(e.name)]
        return sorted(kept, key=lambda entry: entry.name)

    def _enter(self, parent: int, path: PurePosixPath) -> None:
        if len(path.parts) > MAX_DEPTH:
            raise self._refusal(path, f"is nested deeper than {MAX_DEPTH} folders", "Move it up.")
        with self._opened(path.name, _DIRECTORY | os.O_NOFOLLOW, parent, path) as descriptor:
            self._walk(descriptor, path)

    def _take(self, parent: int, path: PurePosixPath) -> None:
        self._check_name(path)
        with self._opened(path.name, _FILE, parent, path) as descriptor:
            status = os.fstat(descriptor)
            if not modes.S_ISREG(status.st_mode):
                raise self._refusal(path, "is not a regular file", "Remove it.")
            if status.st_nlink > 1:
                self.names.setdefault((status.st_dev, status.st_ino), []).append(path)
            data = self._read(descriptor, path)
        self.size += len(data)
        if self.size > MAX_TOTAL_BYTES:
            raise self._too_much(f"more than {MAX_TOTAL_BYTES // 2**20} MiB of code")
        if len(self.files) == MAX_FILES:
            raise self._too_much(f"more than {MAX_FILES} files")
        self._keep(path, data)

    def _refuse_names_outside(self, top: int) -> None:
        """Refuse a file that is also a file elsewhere, which is not the candidate's to hand in."""
        for names in self.names.values():
            if os.stat(names[0], dir_fd=top, follow_symlinks=False).st_nlink > len(names):
                why = "is a hard link: the file has another name outside of what is handed in"
                raise self._refusal(names[0], why, "Put a copy of the file in its place.")

    def _check_name(self, path: PurePosixPath) -> None:
        name = str(path)
        if name != sanitize(name) or not name.isprintable() or "\\" in name:
            raise self._refusal(path, "has a name with unusual characters", "Rename it.")
        if len(name.encode()) > MAX_PATH:
            raise self._refusal(path, f"has a path longer than {MAX_PATH} bytes", "Shorten it.")

    def _read(self, descriptor: int, path: PurePosixPath) -> bytes:
        with self._explained(path), os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            limit = f"is larger than {MAX_FILE_BYTES // 1024} KiB"
            raise self._refusal(path, limit, "Split it, or keep data out of the workspace.")
        return data

    def _keep(self, path: PurePosixPath, data: bytes) -> None:
        target = self.stage / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise UsageError(
                f"The submission cannot be copied to {self.stage}: {error.strerror}.",
                tip="Free some space there, or set TMPDIR to another folder.",
            ) from error
        self.files.append(SubmittedFile(str(path), hashlib.sha256(data).hexdigest(), len(data)))

    @contextlib.contextmanager
    def _opened(
        self, name: str, flags: int, parent: int | None, path: PurePosixPath | str
    ) -> Iterator[int]:
        with self._explained(path):
            descriptor = os.open(name, flags, dir_fd=parent)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _explained(self, path: PurePosixPath | str) -> Iterator[None]:
        """Turn an OSError into a UsageError."""
        try:
            yield
        except PermissionError:
            raise self._refusal(path, "cannot be read", self._how_to_read(path)) from None
        except FileNotFoundError:
            raise self._refusal(path, "does not exist", "Check the path of the folder.") from None
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise self._refusal(path, problem, "Replace it by a plain file or folder.") from None

    def _how_to_read(self, path: PurePosixPath | str) -> str:
        """The command that makes a file or folder readable: chmod works for its owner only."""
        folder = shlex.quote(sanitize(str(self.directory), 300))
        with contextlib.suppress(OSError):
            if (self.directory / path).lstat().st_uid != os.geteuid():
                return f'It belongs to another user: sudo chown -R "$(id -un)" {folder}'
        return f"Give yourself permission to read it: chmod -R u+rX {folder}"

    def _refusal(self, path: PurePosixPath | str, problem: str, tip: str) -> UsageError:
        return UsageError(f"{sanitize(str(self.directory / path), 300)} {problem}.", tip=tip)

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            f"{sanitize(str(self.directory), 300)} contains {what}.",
            tip="A submission is a few small files. Move everything else to another folder.",
        )
