"""Freezes a workspace into a submission: a read-only copy by allow-list, hashed.

What is run, checked and shown later are these bytes and no others. The folder is the candidate's:
every name is opened relative to its directory's descriptor and without following links, so that
nothing outside it can be drawn in, not even by someone who swaps files while we read.
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

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.model import Exercise, Submission, SubmittedFile
from archprep.core.sanitize import sanitize

DISCUSSION = "DISCUSSION.md"
MAX_FILES = 200
MAX_FILE_BYTES = 256 * 1024
MAX_TOTAL_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 8
MAX_ENTRIES = 5000
MAX_PATH = 200
SKIPPED = frozenset({"venv", "node_modules", "__pycache__", "site-packages"})

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe that took the place of a file must not wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def freeze(directory: Path, exercise: Exercise, stage: Path) -> Submission:
    """Copy what belongs to a submission from `directory` into `stage`, a new or empty folder."""
    if not directory.is_dir():
        raise UsageError(
            f"There is no folder {sanitize(str(directory), 300)}.",
            tip=f"Make the workspace with `archprep start {exercise.id}`, or name it with --dir.",
        )
    stage.mkdir(parents=True, exist_ok=True)
    intake = _Intake(directory, _named(exercise), stage)
    try:
        intake.run()
        _require(exercise.entry, intake.files, directory)
        _seal(stage)
    except BaseException:
        discard(stage)
        raise
    files = tuple(sorted(intake.files, key=lambda file: file.path))
    return Submission(stage, digest(files), files)


def digest(files: tuple[SubmittedFile, ...]) -> str:
    """One hash for all files: sha256 over their sorted paths and hashes."""
    lines = sorted(f"{file.path}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def discard(stage: Path) -> None:
    """Remove a staged copy; what cannot be removed is left."""
    import shutil

    # By descriptor: a path could meanwhile be a link to somebody else's folder.
    with contextlib.suppress(OSError):
        for _, _, _, descriptor in os.fwalk(stage):
            os.fchmod(descriptor, 0o700)
    shutil.rmtree(stage, ignore_errors=True)


def _named(exercise: Exercise) -> frozenset[str]:
    return frozenset({*catalog.starter_files(exercise), *exercise.entry, DISCUSSION})


def _require(names: tuple[str, ...], files: list[SubmittedFile], directory: Path) -> None:
    present = {file.path for file in files}
    if absent := [name for name in names if name not in present]:
        verb = "is" if len(absent) == 1 else "are"
        raise UsageError(
            f"{' and '.join(absent)} {verb} missing from {sanitize(str(directory), 300)}.",
            tip="Was it renamed or moved? Give it its name back, or name another folder with "
            "--dir.",
        )


def _seal(stage: Path) -> None:
    # World-readable: in the sandbox another user may be the one who reads it.
    for _, _, names, descriptor in os.fwalk(stage, topdown=False):
        for name in names:
            os.chmod(name, 0o444, dir_fd=descriptor)
        os.fchmod(descriptor, 0o555)


@dataclass
class _Intake:
    """One walk through a workspace, with what it has used of its allowances."""

    directory: Path
    named: frozenset[str]
    stage: Path
    files: list[SubmittedFile] = field(default_factory=list)
    entries: int = 0
    size: int = 0

    def run(self) -> None:
        """Walk from the top."""
        with self._opened(os.fspath(self.directory), _DIRECTORY, None, "") as descriptor:
            self._walk(descriptor, PurePosixPath())

    def _walk(self, descriptor: int, inner: PurePosixPath) -> None:
        for entry in self._listed(descriptor, inner):
            path = inner / entry.name
            if entry.is_symlink():
                raise self._refusal(path, "is a link", "Put a copy of the file in its place.")
            if entry.is_dir(follow_symlinks=False):
                self._enter(descriptor, path)
            elif path.suffix == ".py" or str(path) in self.named:
                self._take(descriptor, path)

    def _listed(self, descriptor: int, inner: PurePosixPath) -> list[os.DirEntry[str]]:
        """The entries that count, by name; none of a virtual environment."""
        found = []
        with self._explained(inner), os.scandir(descriptor) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    raise self._too_much(f"more than {MAX_ENTRIES:,} files and folders")
                found.append(entry)
        if inner.parts and any(entry.name == "pyvenv.cfg" for entry in found):
            return []
        kept = [e for e in found if not e.name.startswith(".") and e.name not in SKIPPED]
        return sorted(kept, key=lambda entry: entry.name)

    def _enter(self, parent: int, path: PurePosixPath) -> None:
        if len(path.parts) > MAX_DEPTH:
            raise self._refusal(path, f"lies deeper than {MAX_DEPTH} folders", "Move it up.")
        with self._opened(path.name, _DIRECTORY | os.O_NOFOLLOW, parent, path) as descriptor:
            self._walk(descriptor, path)

    def _take(self, parent: int, path: PurePosixPath) -> None:
        self._check_name(path)
        with self._opened(path.name, _FILE, parent, path) as descriptor:
            if not modes.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._refusal(path, "is not a regular file", "Remove it.")
            data = self._read(descriptor, path)
        self.size += len(data)
        if self.size > MAX_TOTAL_BYTES:
            raise self._too_much(f"more than {MAX_TOTAL_BYTES // 2**20} MiB of code")
        if len(self.files) == MAX_FILES:
            raise self._too_much(f"more than {MAX_FILES} files")
        self._keep(path, data)

    def _check_name(self, path: PurePosixPath) -> None:
        name = str(path)
        if name != sanitize(name) or not name.isprintable() or "\\" in name:
            raise self._refusal(path, "has a name with unusual characters", "Rename it.")
        if len(name.encode()) > MAX_PATH:
            raise self._refusal(path, f"has a path of over {MAX_PATH} bytes", "Shorten it.")

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
                tip="Make room there, or set TMPDIR to another folder.",
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
        """Turn a refusal of the operating system into a sentence."""
        try:
            yield
        except PermissionError:
            folder = shlex.quote(sanitize(str(self.directory), 300))
            tip = f"Give yourself the right to read it: chmod -R u+rX {folder}"
            raise self._refusal(path, "cannot be read", tip) from None
        except FileNotFoundError:
            raise self._refusal(path, "does not exist", "Is the folder right?") from None
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise self._refusal(path, problem, "Is it a plain file or folder?") from None

    def _refusal(self, path: PurePosixPath | str, problem: str, tip: str) -> UsageError:
        return UsageError(f"{sanitize(str(self.directory / path), 300)} {problem}.", tip=tip)

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            f"{sanitize(str(self.directory), 300)} holds {what}.",
            tip="A submission is a few small files. Move everything else to another folder.",
        )
