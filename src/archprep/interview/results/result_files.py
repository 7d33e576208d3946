"""Reads and writes files of a results folder; errors become sentences."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from archprep.core.errors import UsageError
from archprep.core.files import write_atomically
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT
from archprep.interview.text import shown

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def dumps(data: Any) -> str:
    """Return JSON in ASCII only, so that no character in it acts on what displays it."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def write_json(path: Path, data: Any) -> None:
    """Write plain data in full or not at all."""
    write(path, dumps(data))


def write(path: Path, text: str) -> None:
    """Write text in full or not at all; UsageError if that fails, for example on a full disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise unwritable(path, error) from None


def read_json(path: Path) -> dict[str, Any]:
    """Return a file of ours; UsageError if it is damaged or newer than this archprep."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from None
    found = data.get("format") if isinstance(data, dict) else None
    if type(found) is not int or found < 1:
        raise damaged(path, "it has no `format` number")
    if found > FORMAT:
        raise UsageError(
            f"{shown(path.parent)} was written by a newer archprep (format {found}).",
            tip="Upgrade archprep: pip install --upgrade archprep. Or use another folder.",
        )
    return dict(data)


def damaged(path: Path, why: str) -> UsageError:
    """Return the error for a file that is not as archprep wrote it."""
    return UsageError(
        f"{shown(path)} is damaged: {sanitize(why, 200)}.",
        tip="Restore it from a backup, or grade into another folder: --out FOLDER",
    )


def unwritable(path: Path, error: OSError) -> UsageError:
    """Return the error for a file that cannot be written."""
    if error.errno in DISK_FULL:
        return UsageError(
            f"The disk is full: {shown(path)} cannot be written.",
            tip="Everything graded so far is saved. Free up space, then continue with --resume.",
        )
    return UsageError(
        f"{shown(path)} cannot be written: {error.strerror}.",
        tip="Make it writable, or use another folder: --out FOLDER",
    )
