"""Reads small files of a submission, following no link and never waiting for a pipe."""

from __future__ import annotations

import json
import os
import stat as modes
from pathlib import Path
from typing import Any

from archprep.interview.submission_rules import RefusedError, is_ignored
from archprep.interview.text import one_line

ASK_FOR_ZIP = "Ask for a zip of the kit's folder."
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_text(path: Path, limit: int) -> str:
    """Return the text of a regular file; RefusedError if it is larger than `limit` bytes."""
    with open(os.open(path, READ), "rb") as file:  # noqa: PTH123 - takes the descriptor
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _refused(path, "is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _refused(path, f"is larger than {limit // 1024} KiB")
    return data.decode("utf-8", errors="replace")


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """Return the JSON object in a file; {} if the file is missing or contains anything else."""
    try:
        data = json.loads(read_text(path, limit))
    except (OSError, RefusedError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def starts_with(path: Path, mark: bytes) -> bool:
    """Whether a file starts with these bytes."""
    with open(os.open(path, READ), "rb") as file:  # noqa: PTH123 - takes the descriptor
        return file.read(len(mark)) == mark


def subfolders(place: Path) -> list[Path]:
    """Return the folders in a folder, by name, without links and ignored ones."""
    with os.scandir(place) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not is_ignored(entry.name)
        ]
    return [place / name for name in sorted(names)]


def _refused(path: Path, problem: str) -> RefusedError:
    return RefusedError(f"{one_line(path.name, 100)} {problem}.", tip=ASK_FOR_ZIP)
