"""Opens a results folder for one process at a time, and refuses folders that are not archprep's."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from archprep.core.errors import UsageError
from archprep.interview.results.result_files import unwritable
from archprep.interview.results.results_folder import (
    BATCH,
    ResultsFolder,
    is_unfinished,
    read_batch,
)
from archprep.interview.text import shown

LOCK = "lock"

_RETRY_SECONDS = 0.2


@contextlib.contextmanager
def open_for_grading(root: Path, *, resume: bool) -> Iterator[ResultsFolder]:
    """Lock a new or empty folder; with `resume`, also one that has results.

    UsageError, and nothing is touched, if it is in use, newer, or not a results folder.
    """
    _refuse_foreign(root)
    is_new = _make(root)
    try:
        with _locked(root):
            folder = ResultsFolder(root)
            if folder.has_begun and not resume:
                raise UsageError(
                    f"{shown(root)} already has results.",
                    tip="Continue them with --resume, or use another folder: --out FOLDER",
                )
            folder.remove_unfinished()
            yield folder
    finally:
        _remove_unused(root, is_new=is_new)


@contextlib.contextmanager
def open_existing(root: Path) -> Iterator[ResultsFolder]:
    """Lock a folder that has results."""
    require_results(root)
    read_batch(root / BATCH)
    with _locked(root):
        folder = ResultsFolder(root)
        folder.remove_unfinished()
        yield folder


def require_results(root: Path) -> None:
    """Raise UsageError unless something was graded into the folder."""
    tip = "Use a folder that `archprep grade` has written to."
    if not root.exists():
        raise UsageError(f"{shown(root)} does not exist.", tip=tip)
    if not (root / BATCH).is_file():
        raise UsageError(f"{shown(root)} has no results.", tip=tip)


def _refuse_foreign(root: Path) -> None:
    """Only looks: a folder that is not ours stays as it is."""
    try:
        names = {entry.name for entry in os.scandir(root)}
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(root, error) from None
    if BATCH in names:
        read_batch(root / BATCH)
    elif any(name != LOCK and not is_unfinished(name) for name in names):
        raise UsageError(
            f"{shown(root)} is not empty and is not a results folder.",
            tip="Use another folder; it does not have to exist: --out FOLDER",
        )


def _make(root: Path) -> bool:
    if root.is_dir():
        return False
    try:
        root.mkdir(mode=0o700, parents=True)  # it will contain people's code
    except OSError as error:
        raise unwritable(root, error) from None
    return True


def _remove_unused(root: Path, *, is_new: bool) -> None:
    """Remove a new folder if grading did not begin."""
    if is_new and not (root / BATCH).exists():
        with contextlib.suppress(OSError):
            (root / LOCK).unlink(missing_ok=True)
            root.rmdir()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the kernel's lock, which ends with the process however that ends."""
    try:
        lock = (root / LOCK).open("ab")
    except OSError as error:
        raise unwritable(root / LOCK, error) from None
    with lock:
        if not _acquire(lock, root / LOCK):
            time.sleep(_RETRY_SECONDS)  # `archprep review` takes it for an instant to test it
            if not _acquire(lock, root / LOCK):
                raise UsageError(
                    f"Another archprep is grading into {shown(root)}.",
                    tip="Wait until it has finished, or use another folder: --out FOLDER",
                )
        yield


def _acquire(lock: IO[bytes], path: Path) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have removed the file together with an unused folder.
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except OSError:
        return False
