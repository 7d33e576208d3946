"""Tells whether another review has the same folder open. It never prevents one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

LOCK_NAME = "review.lock"


@contextlib.contextmanager
def shared_lock(root: Path) -> Iterator[bool]:
    """Hold a shared lock on the folder; yields whether no other review holds one.

    The lock is exclusive for an instant to find that out. Without working locks it yields True.
    """
    lock = _open(root)
    if lock is None:
        yield True
        return
    try:
        is_alone = _acquire(lock, fcntl.LOCK_EX)
        _acquire(lock, fcntl.LOCK_SH)
        yield is_alone
    finally:
        os.close(lock)


def _open(root: Path) -> int | None:
    """The descriptor of the lock file; None if it does not exist and cannot be created."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    for mode in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(root / LOCK_NAME, mode | flags, 0o600)
    return None


def _acquire(lock: int, kind: int) -> bool:
    """Whether the lock was free, or the file system does not support locks."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
