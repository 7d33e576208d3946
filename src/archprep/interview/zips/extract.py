"""Extracts a zip archive into a folder, never writing through a link."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.text import shown
from archprep.interview.zips import zip_reader
from archprep.workspace import submission

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _all(_: str) -> bool:
    return True


def extract(archive: Path, into: Path, wanted: Callable[[str], bool] = _all) -> None:
    """Write the files of a zip whose names are `wanted` into a new or empty folder.

    Files become 0600, folders 0700. Ignored names (hidden files, virtual environments) are
    skipped. RefusedError, and nothing is written, if any entry breaks a rule; a plain UsageError
    if this machine cannot write.
    """
    with zip_reader.open_zip(archive) as reader:
        files = reader.files(wanted)
        with _filled(into) as top:
            for name, info in files:
                # An unreadable chunk is the archive's fault; other errors are this machine's.
                with write_errors(Path(name)), _created(name, top) as target:
                    for chunk in reader.chunks(name, info):
                        target.write(chunk)


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn OSError into UsageError: this machine cannot write `path`."""
    try:
        yield
    except FileExistsError as error:
        raise UsageError(
            f"{shown(path)} already exists.", tip="Nothing was written. Move it away."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be written: {error.strerror or error}.",
            tip="The archive is not the problem. Free up space, or use another folder.",
        ) from error


@contextlib.contextmanager
def _filled(into: Path) -> Iterator[int]:
    """The descriptor of a new or empty folder, which is removed if anything fails."""
    with write_errors(into):
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        top = os.open(into, _FOLDER)
        with os.scandir(top) as entries:
            is_empty = next(entries, None) is None
        if not is_empty:
            os.close(top)
            raise UsageError(f"{shown(into)} is not empty.", tip="Use a new folder.")
    try:
        yield top
    except BaseException:
        submission.discard(into)
        raise
    finally:
        os.close(top)


@contextlib.contextmanager
def _created(name: str, top: int) -> Iterator[io.BufferedWriter]:
    """A new file below `top`; each parent folder is opened without following links."""
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
