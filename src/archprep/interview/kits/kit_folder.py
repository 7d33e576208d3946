"""A candidate's copy of a kit: finding its folder, and its clock."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.files import write_atomically
from archprep.interview.kits import manifest
from archprep.interview.model import CLOCK_FILE, FORMAT
from archprep.interview.text import shown

_MAX_CLOCK_BYTES = 4096
_USAGE = "Pass the kit's folder; `archprep begin` also takes its zip."


def locate(directory: Path) -> Path:
    """Return the kit's folder: `directory`, one of its parents, or the only kit in it."""
    try:
        here = directory.expanduser().resolve()
    except OSError:
        raise UsageError(
            "The current folder has been deleted.", tip="Change to another one: cd"
        ) from None
    if not here.is_dir():
        problem = "is not a folder" if here.exists() else "does not exist"
        raise UsageError(f"{shown(here)} {problem}.", tip=_USAGE)
    for path in (here, *here.parents):
        if (path / manifest.NAME).is_file():
            return path
    inside = [path.parent for path in here.glob(f"*/{manifest.NAME}")]
    if len(inside) != 1:
        raise UsageError(
            f"{shown(here)} is not an interview kit: it has no {manifest.NAME}.",
            tip=_USAGE,
        )
    return inside[0]


def now() -> datetime:
    """Return the time by this machine's clock, in UTC and whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def begun_at(folder: Path) -> datetime | None:
    """Return when the clock was started; None if its file is missing or damaged."""
    try:
        with (folder / CLOCK_FILE).open("rb") as file:
            return manifest.instant(json.loads(file.read(_MAX_CLOCK_BYTES))["begun_at"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def start_clock(folder: Path, time: datetime) -> None:
    """Write down when the clock was started."""
    text = json.dumps({"format": FORMAT, "begun_at": time.isoformat()}) + "\n"
    write_atomically(folder / CLOCK_FILE, text)


@contextlib.contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """Turn OSError into UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{shown(folder)} cannot be used: {error.strerror or error}.",
            tip="Free up space there, or move the kit to a folder that you can write to.",
        ) from error
