"""Reads one entry of a folder of submissions: its time of receipt, its digest, what it contains."""

from __future__ import annotations

import os
import stat as modes
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from archprep.content import exercise_files
from archprep.core.model import Exercise
from archprep.interview import submission_rules as rules
from archprep.interview.kits import manifest
from archprep.interview.model import REPORT_FILE
from archprep.interview.submission_rules import RefusedError
from archprep.interview.submissions import digests, untrusted_files
from archprep.interview.submissions.contents import ContentsReader, NoSubmissionError
from archprep.interview.submissions.entry import Entry
from archprep.interview.submissions.reported_times import CLOCK_SKEW
from archprep.interview.text import one_line
from archprep.interview.zips import extract
from archprep.workspace import submission

MAX_ZIPS = 20  # that are read of one person

_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})


@dataclass
class EntryReader:
    """Reads entries; zips are unpacked below `work`."""

    work: Path
    exercises: dict[str, Exercise]
    key: bytes | None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    unpacked: int = 0

    def __post_init__(self) -> None:
        starters = (exercise_files.starter_files(e) for e in self.exercises.values())
        handed_out = {Path(name).name for files in starters for name in files}
        # freezing recognizes a virtual environment by its pyvenv.cfg.
        ours = {manifest.NAME, REPORT_FILE, submission.DISCUSSION, "pyvenv.cfg"}
        self._wanted_names = handed_out | ours | rules.OUR_HIDDEN_FILES
        self._contents = ContentsReader(self.work, self.exercises, self.key)

    def read_all(self, path: Path) -> list[Entry]:
        """Read one entry; of a folder that is only the cover of zips, each zip.

        Learning platforms make a folder for each person and put there what that person sent.
        """
        entry = self.read(path)
        if entry.is_unrelated and (zips := _zips_in(path)):
            return [self.read(one, cover=f"{entry.source}/") for one in zips[:MAX_ZIPS]]
        return [entry]

    def read(self, path: Path, cover: str = "") -> Entry:
        """Read one entry; whatever is wrong with it becomes its problem.

        `cover` is the folder that a learning platform put around it.
        """
        source = cover + one_line(path.name, 200)
        name = one_line(cover.removesuffix("/") or path.stem, 100) or "unnamed"
        entry = Entry(path, source, name, self.now, (0.0, source))
        try:
            self._read(path, entry)
        except RefusedError as error:
            entry.problem = " ".join(filter(None, (error.message, error.tip)))
            entry.is_unrelated = isinstance(error, NoSubmissionError)
        except OSError as error:
            entry.problem = f"{source} cannot be read: {error.strerror or error}."
        return entry

    def _read(self, path: Path, entry: Entry) -> None:
        status = path.lstat()
        entry.at = self._time(status.st_mtime)
        entry.order = (status.st_mtime, path.name)
        if status.st_mtime > (self.now + CLOCK_SKEW).timestamp():
            entry.flags.append("its time of receipt is in the future: check this machine's clock")
        if modes.S_ISDIR(status.st_mode):
            entry.name = one_line(path.name, 100) or "unnamed"
            hashes = self._hashes(path, entry)
            entry.digest = digests.combined(hashes)
            self._contents.read(path, hashes, entry)
        elif modes.S_ISREG(status.st_mode):
            entry.digest = digests.of_file(path, rules.MAX_ARCHIVE_BYTES)
            self._read_zip(path, entry)
        else:
            kind = "a link" if modes.S_ISLNK(status.st_mode) else "neither a file nor a folder"
            raise RefusedError(
                f"{entry.source} is {kind}.", tip="Replace it with the submission itself."
            )

    def _time(self, seconds: float) -> datetime:
        """The time of a file; now if it is invalid or in the future."""
        try:
            return min(datetime.fromtimestamp(seconds, UTC), self.now)
        except (ValueError, OverflowError, OSError):
            return self.now

    def _read_zip(self, path: Path, entry: Entry) -> None:
        self.unpacked += 1
        into = self.work / f"{self.unpacked:06}"
        try:
            extract.extract(path, into, self._is_wanted)
        except RefusedError as error:
            if path.suffix.lower() in _ARCHIVES or untrusted_files.starts_with(path, b"PK"):
                raise
            raise NoSubmissionError(error.message, tip=error.tip) from error
        self._contents.read(into, self._hashes(into, entry), entry)

    def _hashes(self, folder: Path, entry: Entry) -> dict[str, str]:
        return digests.of_folder(folder, entry.source, self._is_wanted)

    def _is_wanted(self, name: str) -> bool:
        """Whether a file may be needed: the allow-lists of all exercises together."""
        last = name.rpartition("/")[2]
        return last.endswith(".py") or last in self._wanted_names


def _zips_in(folder: Path) -> list[Path]:
    """The zips in a folder, by name; none if it is not one, or a link to one."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = [e.name for e in found if e.is_file(follow_symlinks=False)]
    zips = [n for n in names if n.lower().endswith(".zip") and not rules.is_ignored(n)]
    return [folder / name for name in sorted(zips)]
