"""`archprep begin`: unpacks a kit and starts its clock, on the candidate's machine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.interview.kits import kit_folder, manifest
from archprep.interview.model import Kit
from archprep.interview.text import shown
from archprep.interview.zips.extract import extract
from archprep.workspace import submission


@dataclass(frozen=True, slots=True)
class BegunKit:
    """A kit whose clock is running; `was_running` if it had been started before."""

    folder: Path
    kit: Kit
    at: datetime
    was_running: bool

    @property
    def deadline(self) -> datetime:
        """When the time is up."""
        return self.at + timedelta(minutes=self.kit.minutes)


def begin(path: Path) -> BegunKit:
    """Start the clock of a kit, given its folder or its zip; only the first time counts."""
    with kit_folder.file_errors(path):
        folder = _unpacked(path) if path.is_file() else kit_folder.locate(path)
        kit = manifest.read(folder / manifest.NAME)
        if earlier := kit_folder.begun_at(folder):
            return BegunKit(folder, kit, earlier, was_running=True)
        now = kit_folder.now()
        kit_folder.start_clock(folder, now)
    return BegunKit(folder, kit, now, was_running=False)


def _unpacked(path: Path) -> Path:
    """The kit's folder next to its zip: unpacked now, or by an earlier `begin`."""
    parent = path.expanduser().resolve().parent
    with _temporary_folder(parent) as new:
        extract(path, new)
        found = _only_kit(new, path)
        target = parent / found.name
        if target.exists():
            _require_same_kit(target, found, path)
        else:
            found.rename(target)
    return target


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder in `parent`, so that its contents can be renamed into place."""
    new = Path(tempfile.mkdtemp(prefix=".archprep-kit-", dir=parent))
    try:
        yield new
    finally:
        submission.discard(new)


def _only_kit(new: Path, path: Path) -> Path:
    found = [one.parent for one in new.glob(f"*/{manifest.NAME}")]
    if len(found) != 1:
        raise UsageError(
            f"{shown(path)} is not an interview kit: it has no folder with {manifest.NAME}.",
            tip="Use the zip that the interviewer sent.",
        )
    return found[0]


def _require_same_kit(target: Path, found: Path, path: Path) -> None:
    """Accept an existing folder only if it is this kit, unpacked earlier."""
    with contextlib.suppress(OSError):
        if (target / manifest.NAME).read_bytes() == (found / manifest.NAME).read_bytes():
            return
    raise UsageError(
        f"{shown(target)} already exists and is not the kit of {path.name}.",
        tip="Nothing was changed. Move the zip to another folder and begin there.",
    )
