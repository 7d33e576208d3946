"""Finds out what candidates have handed in: a folder of zips and folders that nobody may trust.

An entry that is broken is one `Received` with its problem, and never ends the scan; only what is
wrong with this machine does. Nothing that was handed in is executed, and no link is followed. The
files of a workspace are read by `intake.freeze`, later.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat as modes
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archprep.content import catalog, exercise_files
from archprep.core.errors import UsageError
from archprep.core.model import Exercise
from archprep.core.sanitize import sanitize
from archprep.interview import archive, handin, manifest
from archprep.interview.archive import RefusedError
from archprep.interview.kit import slug
from archprep.interview.model import Kit, KitExercise, Part, Received
from archprep.workspace import submission
from archprep.workspace.folder import MARKER, looks_like_workspace

NOT_CHECKED = "signature not checked: the key that signed this kit is not here"
FORGED = (
    "the kit's signature does not fit: its manifest was changed, or signed with another key; "
    "the name is that of the file"
)
CLOCK_SKEW = timedelta(minutes=5)  # by which honest clocks may differ

_MOST_REPORTED = 1000  # files
_REPORTED_BYTES = 512 * 1024
_MARKER_BYTES = 4096
_CHUNK = 2**20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})
_HAND_IN = "Have it handed in as a zip of the kit's folder."


class _NoSubmissionError(RefusedError):
    """It is something else altogether: maybe the whole folder is."""


@dataclass
class _Found:
    """What is known of one entry so far."""

    source: str
    name: str
    at: datetime
    order: tuple[float, str]
    digest: str = ""
    parts: list[Part] = field(default_factory=list)
    kit: Kit | None = None
    genuine: bool = False
    flags: list[str] = field(default_factory=list)
    reported: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    foreign: bool = False  # nothing about it looks like a submission
    superseded: list[str] = field(default_factory=list)


def scan(folder: Path, work: Path) -> list[Received]:
    """What each candidate has handed in, by source; zips are unpacked below `work`.

    Of several by one candidate the last counts. `work` is new or empty, and must last as long as
    what is returned. UsageError for a folder that holds no submission.
    """
    paths = _entries(folder)
    scanner = _Scanner(work, {e.id: e for e in catalog.load_all()}, manifest.key(create=False))
    found = [scanner.receive(path) for path in paths]
    if all(one.foreign for one in found):
        raise _nothing(folder, "neither a kit nor a workspace, in a zip or a folder")
    return _slugged(_last_of_each(found))


# ------------------------------------------------------------------ the folder


def _entries(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - of names that may be no text
    except OSError as error:
        raise UsageError(
            f"The submissions in {sanitize(str(folder), 300)} cannot be read: {error.strerror}.",
            tip="Name the folder that holds them.",
        ) from error
    if manifest.NAME in names or MARKER in names:
        raise UsageError(
            f"{sanitize(str(folder), 300)} is itself a kit or a workspace.",
            tip="Name the folder that it lies in: each zip and folder there is one submission.",
        )
    visible = [folder / name for name in names if not archive.is_left(name)]
    if not visible:
        raise _nothing(folder, "nothing")
    return visible


def _nothing(folder: Path, what: str) -> UsageError:
    return UsageError(
        f"{sanitize(str(folder), 300)} holds no submissions: there is {what}.",
        tip="Put what each candidate has handed in there: a zip, or a folder.",
    )


def _last_of_each(found: list[_Found]) -> list[_Found]:
    """Of each candidate the last by receipt; it names the others.

    A name that nobody vouches for does not displace one under our signature; nor does a file that
    is no submission, such as alice.txt beside alice.zip.
    """
    groups: dict[tuple[str, bool, bool], list[_Found]] = {}
    for one in found:
        key = unicodedata.normalize("NFKC", one.name).casefold()
        groups.setdefault((key, one.genuine, one.foreign), []).append(one)
    last = []
    for group in groups.values():
        *earlier, one = sorted(group, key=lambda one: one.order)
        one.superseded = [other.source for other in earlier]
        last.append(one)
    return sorted(last, key=lambda one: one.source)


def _slugged(found: list[_Found]) -> list[Received]:
    taken: set[str] = set()
    results = []
    for one in found:
        stem = slug(one.name)
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in taken:
            number += 1
        taken.add(name)
        results.append(_received(one, name))
    return results


def _received(one: _Found, name: str) -> Received:
    return Received(
        name=one.name,
        slug=name,
        source=one.source,
        received_at=one.at.isoformat(timespec="seconds"),
        digest=one.digest,
        parts=() if one.problem else tuple(one.parts),
        kit=one.kit,
        flags=tuple(one.flags),
        reported=one.reported,
        problem=one.problem,
        superseded=tuple(one.superseded),
    )


# ------------------------------------------------------------------ one entry


@dataclass
class _Scanner:
    """What is the same for all entries."""

    work: Path
    exercises: dict[str, Exercise]
    key: bytes | None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    unpacked: int = 0

    def __post_init__(self) -> None:
        starters = (exercise_files.starter_files(e) for e in self.exercises.values())
        handed_out = {Path(name).name for files in starters for name in files}
        # pyvenv.cfg: by it, freezing knows a virtual environment.
        own = {manifest.NAME, handin.REPORTED, submission.DISCUSSION, "pyvenv.cfg", *archive.KEPT}
        self.names = handed_out | own

    def wanted(self, name: str) -> bool:
        """Whether a file may be of any use: the allow-list, before that of each exercise."""
        last = name.rpartition("/")[2]
        return last.endswith(".py") or last in self.names

    def receive(self, path: Path) -> _Found:
        """Look into one entry; whatever is wrong with it becomes its problem."""
        source = _line(path.name, 200)
        found = _Found(source, _line(path.stem, 100) or "unnamed", self.now, (0.0, source))
        try:
            self._look(path, found)
        except RefusedError as error:
            found.problem = " ".join(filter(None, (error.message, error.tip)))
            found.foreign = isinstance(error, _NoSubmissionError)
        except OSError as error:
            found.problem = f"{source} cannot be read: {error.strerror or error}."
        return found

    def _look(self, path: Path, found: _Found) -> None:
        status = path.lstat()
        found.at = self._time(status.st_mtime)
        found.order = (status.st_mtime, path.name)
        if status.st_mtime > (self.now + CLOCK_SKEW).timestamp():
            found.flags.append("its time of receipt lies in the future: this machine's clock?")
        if modes.S_ISDIR(status.st_mode):
            found.name = _line(path.name, 100) or "unnamed"
            hashes = self._hashed(path, found)
            found.digest = _together(hashes)
            self._identify(path, hashes, found)
        elif modes.S_ISREG(status.st_mode):
            found.digest = _hash(path, archive.MAX_ARCHIVE_BYTES)
            self._look_into(path, found)
        else:
            what = "a link" if modes.S_ISLNK(status.st_mode) else "neither a file nor a folder"
            raise RefusedError(f"{found.source} is {what}.", tip="Put the submission itself here.")

    def _time(self, seconds: float) -> datetime:
        """A time of a file; what is no time, or to come, counts as now."""
        try:
            return min(datetime.fromtimestamp(seconds, UTC), self.now)
        except (ValueError, OverflowError, OSError):
            return self.now

    def _look_into(self, path: Path, found: _Found) -> None:
        """Unpack a zip and look at what it holds."""
        self.unpacked += 1
        into = self.work / f"{self.unpacked:06}"
        try:
            archive.unpack(path, into, self.wanted)
        except RefusedError as error:
            if path.suffix.lower() in _ARCHIVES or _begins(path, b"PK"):
                raise
            raise _NoSubmissionError(error.message, tip=error.tip) from error
        self._identify(into, self._hashed(into, found), found)

    def _hashed(self, folder: Path, found: _Found) -> dict[str, str]:
        return _Walk(found.source, self.wanted).run(folder)

    # -------------------------------------------------------------- kit or workspace

    def _identify(self, root: Path, hashes: dict[str, str], found: _Found) -> None:
        """Find the kit, or the one workspace, at the top or one level down."""
        for places in ([root], _subfolders(root)):
            kits = [place for place in places if os.path.lexists(place / manifest.NAME)]
            if len(kits) > 1:
                raise RefusedError(f"{found.source} holds {len(kits)} kits.", tip=_HAND_IN)
            if kits:
                return self._take_kit(kits[0], _below(kits[0], root, hashes), found)
        for places in ([root], _subfolders(root)):
            if works := [(place, e) for place in places if (e := self._exercise_of(place))]:
                return self._take_workspace(works, found)
        raise _NoSubmissionError(
            f"{found.source} holds neither {manifest.NAME} nor the workspace of one exercise.",
            tip=_HAND_IN,
        )

    def _exercise_of(self, place: Path) -> str | None:
        """The exercise that the marker names, or that alone has such files."""
        if (marked := _marked(place)) is not None:
            return marked[0]
        fitting = [i for i, e in self.exercises.items() if looks_like_workspace(place, e)]
        return fitting[0] if len(fitting) == 1 else None

    def _take_workspace(self, works: list[tuple[Path, str]], found: _Found) -> None:
        if len(works) > 1:
            raise RefusedError(
                f"{found.source} holds {len(works)} workspaces and no {manifest.NAME}.",
                tip=f"Have {manifest.NAME} put back, or each workspace handed in by itself.",
            )
        [(place, exercise)] = works
        if exercise not in self.exercises:
            raise RefusedError(
                f"{found.source} is a workspace of {_unknown(exercise)}.",
                tip="Is this archprep older than the candidate's?",
            )
        marked = _marked(place)
        found.flags += self._version_flags(exercise, marked[1] if marked else None)
        found.parts.append(Part(exercise, place))

    # -------------------------------------------------------------- a kit

    def _take_kit(self, top: Path, hashes: dict[str, str], found: _Found) -> None:
        try:
            kit, signature = manifest.loads(_text(top / manifest.NAME, manifest.MOST_BYTES))
        except UsageError as error:
            problem = f"{found.source}: {_line(error.message, 400)}"
            raise RefusedError(problem, tip=error.tip) from error
        found.kit = kit
        self._take_name(kit, signature, found)
        for asked in kit.exercises:
            self._take_exercise(top, asked, found)
        if not found.parts:
            raise RefusedError(f"No exercise of {found.source} can be graded here.", tip=_HAND_IN)
        _Times(top, kit, found).flag(hashes)

    def _take_name(self, kit: Kit, signature: str, found: _Found) -> None:
        """The name in the manifest counts, unless the signature says that it was changed."""
        found.genuine = self.key is not None and manifest.genuine(kit, signature, self.key)
        if self.key is None:
            found.flags.append(NOT_CHECKED)
        elif not found.genuine:
            found.flags.append(FORGED)
            return
        found.name = _line(kit.candidate, 100) or found.name

    def _take_exercise(self, top: Path, asked: KitExercise, found: _Found) -> None:
        if asked.id not in self.exercises:
            found.flags.append(f"not graded: {_unknown(asked.id)}")
            return
        found.flags += self._version_flags(asked.id, asked.version)
        place = _folder_of(top, asked)
        if place is None:
            found.flags.append(f"{asked.id} is missing: there is no folder {asked.folder}")
        # Also one that is missing: it was asked for. Freezing says which file it lacks.
        found.parts.append(Part(asked.id, place or self._nothing_in(asked.folder)))

    def _nothing_in(self, name: str) -> Path:
        """An empty folder."""
        folder = self.work / "missing" / name
        with archive.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _version_flags(self, exercise: str, version: int | None) -> Iterator[str]:
        ours = self.exercises[exercise].version
        if version not in (None, ours):
            yield f"{exercise} was handed out in version {version} and is graded as version {ours}"


def _unknown(exercise: str) -> str:
    return f"{_line(exercise, 20)}, an exercise that this archprep does not have"


def _folder_of(top: Path, asked: KitExercise) -> Path | None:
    """Where an exercise was worked on: also under another name, by its marker."""
    named = top / asked.folder
    if named.is_symlink():
        raise RefusedError(f"{asked.folder} is a link.", tip="Have the folder itself handed in.")
    if named.is_dir():
        return named
    marked = [place for place in _subfolders(top) if (_marked(place) or ("",))[0] == asked.id]
    return marked[0] if len(marked) == 1 else None


def _marked(place: Path) -> tuple[str, int | None] | None:
    """The exercise and version that a workspace's marker names, if that is sound."""
    data = _json(place / MARKER, _MARKER_BYTES)
    exercise, version = data.get("exercise"), data.get("version")
    if not isinstance(exercise, str) or not exercise:
        return None
    small = type(version) is int and 0 < version < 10**9
    return _line(exercise, 20), version if small else None


# ------------------------------------------------------------------ times and digests


@dataclass
class _Times:
    """What the candidate's machine says about times and files, beside what we know ourselves."""

    top: Path
    kit: Kit
    found: _Found

    def flag(self, hashes: dict[str, str]) -> None:
        """Flag what is late and what does not fit. `hashes` are of the files as received."""
        report = _json(self.top / handin.REPORTED, _REPORTED_BYTES)
        clock = _json(self.top / handin.CLOCK, _MARKER_BYTES)
        begun = manifest.instant(report.get("begun_at")) or manifest.instant(clock.get("begun_at"))
        submitted = manifest.instant(report.get("submitted_at"))
        self._keep(report, begun, submitted)
        self.found.flags += self._late(begun, submitted)
        self.found.flags += self._doubtful(begun, submitted)
        self.found.flags += _changed(self.found.reported.get("files", {}), hashes)

    def _keep(
        self, report: dict[str, Any], begun: datetime | None, submitted: datetime | None
    ) -> None:
        times = {"begun_at": begun, "submitted_at": submitted}
        kept: dict[str, Any] = {k: v.isoformat(timespec="seconds") for k, v in times.items() if v}
        for key in ("files", "edited"):
            if texts := _texts(report.get(key)):
                kept[key] = texts
        self.found.reported = kept

    def _late(self, begun: datetime | None, submitted: datetime | None) -> Iterator[str]:
        """By how much, as reported; by receipt, the most that it can be."""
        allowed = timedelta(minutes=self.kit.minutes)
        received = self.found.at
        if begun and (over := _minutes((submitted or received) - begun - allowed)) > 0:
            by = "" if submitted else "by receipt, its beginning "
            yield f"late by {over:,} min ({by}reported by the candidate)"
        made = manifest.instant(self.kit.made_at)
        if not begun and made and (over := _minutes(received - made - allowed)) > 0:
            yield f"late by at most {over:,} min (by receipt: its beginning is not reported)"

    def _doubtful(self, begun: datetime | None, submitted: datetime | None) -> Iterator[str]:
        made = manifest.instant(self.kit.made_at)
        if begun and made and begun < made - CLOCK_SKEW:
            yield "begun before the kit was made (reported by the candidate)"
        if submitted and submitted > self.found.at + CLOCK_SKEW:
            yield "handed in after it was received (reported by the candidate)"
        if begun and submitted and submitted < begun:
            yield "handed in before it was begun (reported by the candidate)"


def _minutes(span: timedelta) -> int:
    """Whole minutes that have begun: a second late is late."""
    return -(-int(span.total_seconds()) // 60)


def _texts(value: object) -> dict[str, str]:
    """A mapping of texts to texts, clean and of bounded size."""
    items = list(value.items())[:_MOST_REPORTED] if isinstance(value, dict) else []
    return {_line(k, 300): _line(v, 100) for k, v in items if isinstance(v, str)}


def _changed(reported: dict[str, str], hashes: dict[str, str]) -> Iterator[str]:
    """Files that are not as `archprep submit` has written them down."""
    names = [name for name, digest in reported.items() if hashes.get(name) != digest]
    if names:
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        yield f"changed after `archprep submit`: {', '.join(names[:3])}{more}"


# ------------------------------------------------------------------ reading with care


def _line(text: str, limit: int) -> str:
    """One clean line."""
    return " ".join(sanitize(text, limit).split())


def _text(path: Path, limit: int) -> str:
    """A small text file; what is larger, or no file, is refused."""
    with open(os.open(path, _READ), "rb") as file:  # noqa: PTH123 - opens what os.open has
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RefusedError(f"{_line(path.name, 100)} is not a regular file.", tip=_HAND_IN)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RefusedError(
            f"{_line(path.name, 100)} is larger than {limit // 1024} KiB.", tip=_HAND_IN
        )
    return data.decode("utf-8", errors="replace")


def _json(path: Path, limit: int) -> dict[str, Any]:
    """A mapping in a file that may be missing, or hold anything: then it is empty."""
    try:
        data = json.loads(_text(path, limit))
    except (OSError, RefusedError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _subfolders(place: Path) -> list[Path]:
    """The folders in a folder that count, by name; none that is a link."""
    with os.scandir(place) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not archive.is_left(entry.name)
        ]
    return [place / name for name in sorted(names)]


def _begins(path: Path, mark: bytes) -> bool:
    with open(os.open(path, _READ), "rb") as file:  # noqa: PTH123 - opens what os.open has
        return file.read(len(mark)) == mark


def _hash(path: str | Path, most: int, within: int | None = None) -> str:
    """The sha256 of a file; of one larger than `most`, of its beginning and its size."""
    with open(os.open(path, _READ, dir_fd=within), "rb") as file:  # noqa: PTH123 - by descriptor
        status = os.fstat(file.fileno())
        if not modes.S_ISREG(status.st_mode):
            return "not a regular file"
        total, left = hashlib.sha256(), most
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            total.update(chunk)
            left -= len(chunk)
    if status.st_size > most:
        total.update(f"\0{status.st_size}".encode())
    return total.hexdigest()


def _together(hashes: dict[str, str]) -> str:
    lines = (os.fsencode(f"{name}\0{digest}\n") for name, digest in sorted(hashes.items()))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _below(place: Path, root: Path, hashes: dict[str, str]) -> dict[str, str]:
    """The hashes of what lies in `place`, by the path there."""
    prefix = "" if place == root else f"{place.name}/"
    return {k.removeprefix(prefix): v for k, v in hashes.items() if k.startswith(prefix)}


@dataclass
class _Walk:
    """The hashes of a folder's wanted files; bounded in entries, bytes and depth."""

    source: str
    wanted: Callable[[str], bool]
    hashes: dict[str, str] = field(default_factory=dict)
    entries: int = 0

    def run(self, root: Path) -> dict[str, str]:
        """Walk from the top."""
        self._enter(os.fspath(root), None, "")
        return self.hashes

    def _enter(self, name: str, parent: int | None, path: str) -> None:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
        try:
            with os.scandir(descriptor) as listed:
                found = [entry for entry in listed if self._counts(entry)]
            for entry in found:
                self._visit(entry, descriptor, f"{path}{entry.name}")
        finally:
            os.close(descriptor)

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        self.entries += 1
        if self.entries > archive.MAX_ENTRIES:
            raise RefusedError(
                f"{self.source} holds more than {archive.MAX_ENTRIES:,} files and folders.",
                tip=_HAND_IN,
            )
        return not archive.is_left(entry.name)

    def _visit(self, entry: os.DirEntry[str], parent: int, path: str) -> None:
        if entry.is_symlink():
            self.hashes[path] = "link"
        elif entry.is_dir(follow_symlinks=False):
            # Deeper ones are refused when they are frozen, if they are part of a workspace.
            if path.count("/") < archive.MAX_DEPTH:
                self._enter(entry.name, parent, f"{path}/")
        elif self.wanted(path):
            self._take(entry.name, parent, path)

    def _take(self, name: str, parent: int, path: str) -> None:
        if len(self.hashes) == archive.MAX_WRITTEN:
            raise RefusedError(
                f"{self.source} holds more than {archive.MAX_WRITTEN:,} files of code.",
                tip=_HAND_IN,
            )
        # One byte more than may be frozen: what is larger is refused there.
        self.hashes[path] = _hash(name, submission.MAX_FILE_BYTES + 1, parent)
