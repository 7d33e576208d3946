"""`archprep submit`: checks a kit's files and makes the zip to send, on the candidate's machine.

Nothing here protects anything: times, edits and digests are *reported by the candidate*. The
grader has its own time of receipt, checks the manifest's signature and freezes the files again.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.files import write_atomically
from archprep.core.model import Exercise, SubmittedFile
from archprep.interview import starter
from archprep.interview.kits import kit_folder, manifest, people, python_syntax
from archprep.interview.model import FORMAT, REPORT_FILE, Kit, KitExercise
from archprep.interview.text import shown
from archprep.interview.zips.zip_writer import zipped
from archprep.workspace import submission
from archprep.workspace.folder import find_workspace

_MAX_SUBMISSIONS = 1000


@dataclass(frozen=True, slots=True)
class FrozenExercise:
    """One exercise as it goes into the zip; `broken` lists the files that Python cannot parse."""

    exercise: KitExercise
    title: str
    files: tuple[SubmittedFile, ...]
    contents: dict[str, bytes] = field(repr=False)
    edited: dict[str, str]
    broken: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenSubmission:
    """A zip that was written; `begun_at` is None if the clock was never started."""

    path: Path
    kit: Kit
    exercises: tuple[FrozenExercise, ...]
    begun_at: datetime | None
    submitted_at: datetime

    @property
    def used(self) -> timedelta | None:
        """Time since `begin` by the candidate's clock; negative if that was set back."""
        return None if self.begun_at is None else self.submitted_at - self.begun_at

    @property
    def late(self) -> timedelta:
        """Time over the limit; zero if there is none."""
        over = (self.used or timedelta()) - timedelta(minutes=self.kit.minutes)
        return max(over, timedelta())


def submit(directory: Path, *, anyway: bool = False) -> WrittenSubmission:
    """Freeze a kit's exercises and write them to a zip next to the kit's folder.

    UsageError if a file is not valid Python, unless `anyway`. Late submissions are accepted.
    """
    with kit_folder.file_errors(directory):
        folder = kit_folder.locate(directory)
        kit = manifest.read(folder / manifest.NAME)
        exercises = _all_frozen(folder, kit)
        if not anyway:
            _refuse_broken(exercises, kit.python)
        begun_at, now = kit_folder.begun_at(folder), kit_folder.now()
        files = {
            manifest.NAME: (folder / manifest.NAME).read_bytes(),
            REPORT_FILE: _report(exercises, begun_at, now),
        }
        for one in exercises:
            files |= {f"{one.exercise.folder}/{k}": v for k, v in one.contents.items()}
        stem = _stem(folder, kit)
        data = zipped({f"{stem}/{path}": content for path, content in files.items()})
        target = _write(folder.parent, f"{stem}-submission", data)
    return WrittenSubmission(target, kit, exercises, begun_at, now)


# ------------------------------------------------------------------ freezing


def _all_frozen(folder: Path, kit: Kit) -> tuple[FrozenExercise, ...]:
    """Every exercise; one UsageError with the problems of all of them."""
    frozen, problems = [], []
    for one in kit.exercises:
        try:
            frozen.append(_frozen(folder, one, kit.python))
        except UsageError as error:
            problems.append(f"{one.id}: {error.message} {error.tip or ''}".strip())
    if problems:
        raise UsageError(
            _listed("This kit cannot be submitted yet:", problems),
            tip="If you cannot fix this, zip the whole folder yourself and send that.",
        )
    return tuple(frozen)


def _refuse_broken(exercises: Sequence[FrozenExercise], python: str) -> None:
    if broken := [problem for one in exercises for problem in one.broken]:
        which = f"Python {python}, which grades them" if python else "Python"
        raise UsageError(
            _listed(f"These files are not valid {which}:", broken),
            tip="Fix them, or submit them as they are: archprep submit --anyway",
        )


def _listed(head: str, problems: Sequence[str]) -> str:
    return "\n".join([head, *(f"  {problem}" for problem in problems)])


def _frozen(folder: Path, one: KitExercise, python: str) -> FrozenExercise:
    exercise = catalog.get(one.id)
    directory = _folder_of(folder, one)
    _require_entry_files(exercise, directory)
    with tempfile.TemporaryDirectory(prefix="archprep-submit-") as temporary:
        stage = Path(temporary, "stage")
        try:
            frozen = submission.freeze(directory, exercise, stage)
            contents = {file.path: (stage / file.path).read_bytes() for file in frozen.files}
        finally:
            submission.discard(stage)
    return FrozenExercise(
        exercise=one,
        title=exercise.title,
        files=frozen.files,
        contents=contents,
        edited=_edited(directory, frozen.files),
        broken=tuple(
            f"{one.folder}/{problem}" for problem in python_syntax.errors(contents, python)
        ),
        notes=tuple(_notes(one, exercise, frozen.files)),
    )


def _folder_of(folder: Path, one: KitExercise) -> Path:
    """The exercise's folder; a renamed one is found by its workspace marker."""
    if (named := folder / one.folder).is_dir():
        return named
    marked = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and (found := find_workspace(path))
        and (found.path, found.exercise_id) == (path, one.id)
    ]
    if len(marked) == 1:
        return marked[0]
    raise UsageError(f"its folder {one.folder} is missing.", tip="Restore it from the kit's zip.")


def _require_entry_files(exercise: Exercise, directory: Path) -> None:
    if absent := [name for name in exercise.entry if not (directory / name).is_file()]:
        verb = "is" if len(absent) == 1 else "are"
        raise UsageError(
            f"{' and '.join(absent)} {verb} missing from {shown(directory)}.",
            tip="If you renamed or moved it, undo that; otherwise restore it from the kit's zip.",
        )


def _edited(directory: Path, files: Sequence[SubmittedFile]) -> dict[str, str]:
    """When each file was last changed, by this machine's clock."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError, OverflowError, ValueError):
            changed = (directory / file.path).lstat().st_mtime
            found[file.path] = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
    return found


def _notes(one: KitExercise, exercise: Exercise, files: Sequence[SubmittedFile]) -> Iterator[str]:
    """What deserves a second look but is not an error."""
    if exercise.version != one.version:
        yield (
            f"{one.id} is version {one.version} in the kit and {exercise.version} in this "
            "archprep. If in doubt, zip the whole folder yourself and send that."
        )
    if sentence := starter.unchanged(exercise, {file.path: file.sha256 for file in files}):
        yield f"{sentence}."


# ------------------------------------------------------------------ the zip


def _report(exercises: Sequence[FrozenExercise], begun_at: datetime | None, now: datetime) -> bytes:
    """What this machine claims: times, digests and edits."""
    at = {one.exercise.folder: one for one in exercises}
    claims = {
        "format": FORMAT,
        "begun_at": begun_at.isoformat() if begun_at else None,
        "submitted_at": now.isoformat(),
        "files": {f"{k}/{file.path}": file.sha256 for k, one in at.items() for file in one.files},
        "edited": {f"{k}/{name}": t for k, one in at.items() for name, t in one.edited.items()},
    }
    return (json.dumps(claims, indent=2) + "\n").encode()


def _stem(folder: Path, kit: Kit) -> str:
    """The kit's own name, such as "ada-l-2", even if its folder was renamed."""
    own, name = people.slug(kit.candidate), people.slug(folder.name)
    return name if name == own or name.startswith(f"{own}-") else own


def _write(folder: Path, stem: str, data: bytes) -> Path:
    """Write to the first free name: earlier submissions are kept."""
    for number in range(1, _MAX_SUBMISSIONS):
        target = folder / (f"{stem}.zip" if number == 1 else f"{stem}-{number}.zip")
        with contextlib.suppress(FileExistsError):
            write_atomically(target, data, replace=False)
            return target
    raise UsageError(
        f"{shown(folder)} already contains {_MAX_SUBMISSIONS - 1} submissions.",
        tip="Move earlier ones elsewhere.",
    )
