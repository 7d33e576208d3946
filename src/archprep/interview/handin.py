"""What a candidate with archprep may do: start the clock of a kit, and make the zip to hand in.

It runs on the candidate's own machine, so nothing here protects anything: times, edits and digests
are *reported by the candidate*. The grader has its own time of receipt, checks the manifest's
signature and freezes the files again. Handing in late is recorded, and never refused.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archprep.content import catalog, exercise_files
from archprep.core.errors import UsageError
from archprep.core.model import Exercise, SubmittedFile
from archprep.core.sanitize import sanitize
from archprep.interview import kit as kits
from archprep.interview import manifest
from archprep.interview.model import FORMAT, Kit, KitExercise
from archprep.workspace import submission as intake
from archprep.workspace.folder import find_workspace

CLOCK = ".archprep-begun.json"
REPORTED = "archprep-submission.json"

_CLOCK_BYTES = 4096
_MOST_SUBMISSIONS = 1000


@dataclass(frozen=True, slots=True)
class Begun:
    """A kit whose clock runs; `earlier` when it did so already."""

    folder: Path
    kit: Kit
    at: datetime
    earlier: bool

    @property
    def due(self) -> datetime:
        """When the time is over."""
        return self.at + timedelta(minutes=self.kit.minutes)


@dataclass(frozen=True, slots=True)
class Frozen:
    """One exercise as it goes into the zip. `broken` says which files are no Python."""

    exercise: KitExercise
    title: str
    files: tuple[SubmittedFile, ...]
    contents: dict[str, bytes] = field(repr=False)
    edited: dict[str, str]
    broken: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A zip that was made. `begun_at` is None when the clock was never started."""

    path: Path
    kit: Kit
    parts: tuple[Frozen, ...]
    begun_at: datetime | None
    submitted_at: datetime

    @property
    def used(self) -> timedelta | None:
        """Time since `begin`, by the candidate's clock; negative if somebody has set that back."""
        return None if self.begun_at is None else self.submitted_at - self.begun_at

    @property
    def late(self) -> timedelta:
        """By how much the time was exceeded."""
        over = (self.used or timedelta()) - timedelta(minutes=self.kit.minutes)
        return max(over, timedelta())


def begin(path: Path) -> Begun:
    """Start the clock of a kit, given as its folder or its zip; only the first time counts."""
    with _explained(path):
        folder = _unpacked(path) if path.is_file() else locate(path)
        kit = manifest.read(folder / manifest.NAME)
        if earlier := _begun_at(folder):
            return Begun(folder, kit, earlier, earlier=True)
        now = _now()
        _start_clock(folder, now)
    return Begun(folder, kit, now, earlier=False)


def submit(directory: Path, *, anyway: bool = False) -> HandedIn:
    """Check and freeze a kit's exercises and write them, with their digests, beside its folder.

    Files that are no valid Python are refused, unless they are to be handed in `anyway`.
    """
    with _explained(directory):
        folder = locate(directory)
        kit = manifest.read(folder / manifest.NAME)
        parts = _all_frozen(folder, kit)
        if not anyway:
            _refuse_broken(parts)
        begun_at, now = _begun_at(folder), _now()
        files = {
            manifest.NAME: (folder / manifest.NAME).read_bytes(),
            REPORTED: _reported(parts, begun_at, now),
        }
        for part in parts:
            files |= {f"{part.exercise.folder}/{k}": v for k, v in part.contents.items()}
        name = _name(folder, kit)
        data = kits.zipped({f"{name}/{path}": content for path, content in files.items()})
        target = _write(folder.parent, f"{name}-submission", data)
    return HandedIn(target, kit, parts, begun_at, now)


def locate(directory: Path) -> Path:
    """The kit's folder that `directory` is, lies in, or alone contains."""
    try:
        here = directory.expanduser().resolve()
    except OSError:
        raise UsageError(
            "The folder you are in has been deleted.", tip="Change to another one: cd"
        ) from None
    if not here.is_dir():
        what = "is no folder" if here.exists() else "does not exist"
        raise UsageError(
            f"{sanitize(str(here), 300)} {what}.",
            tip="Name the kit's folder, or its zip for `archprep begin`.",
        )
    for path in (here, *here.parents):
        if (path / manifest.NAME).is_file():
            return path
    inside = [path.parent for path in here.glob(f"*/{manifest.NAME}")]
    if len(inside) != 1:
        raise UsageError(
            f"{sanitize(str(here), 300)} is no kit of an interview: it has no {manifest.NAME}.",
            tip="Name the kit's folder, or its zip for `archprep begin`.",
        )
    return inside[0]


# ------------------------------------------------------------------ the zip of a kit


def _unpacked(path: Path) -> Path:
    """The kit's folder beside its zip: unpacked now, or at an earlier `begin`."""
    from archprep.interview import archive

    parent = path.expanduser().resolve().parent
    with _new_folder(parent) as new:
        archive.unpack(path, new)
        found = _alone_in(new, path)
        target = parent / found.name
        if target.exists():
            _refuse_other(target, found, path)
        else:
            found.rename(target)
    return target


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder beside the place of what is put in it; gone afterwards."""
    new = Path(tempfile.mkdtemp(prefix=".archprep-kit-", dir=parent))
    try:
        yield new
    finally:
        intake.discard(new)


def _alone_in(new: Path, path: Path) -> Path:
    found = [one.parent for one in new.glob(f"*/{manifest.NAME}")]
    if len(found) != 1:
        raise UsageError(
            f"{sanitize(str(path), 300)} is no kit of an interview: it has no folder with "
            f"{manifest.NAME}.",
            tip="Is it the zip that the interviewer sent?",
        )
    return found[0]


def _refuse_other(target: Path, found: Path, path: Path) -> None:
    """The folder that is there must be this kit, unpacked earlier: it is used as it stands."""
    theirs = found / manifest.NAME
    with contextlib.suppress(OSError):
        if (target / manifest.NAME).read_bytes() == theirs.read_bytes():
            return
    raise UsageError(
        f"{sanitize(str(target), 300)} is there already, and is not the kit of {path.name}.",
        tip="Nothing was changed. Move the zip to another folder and begin it there.",
    )


# ------------------------------------------------------------------ the clock


def _begun_at(folder: Path) -> datetime | None:
    """When the clock was started, as the file says; None where it is missing or damaged."""
    try:
        with (folder / CLOCK).open("rb") as file:
            found = manifest.instant(json.loads(file.read(_CLOCK_BYTES))["begun_at"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found and found.astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _start_clock(folder: Path, now: datetime) -> None:
    text = json.dumps({"format": FORMAT, "begun_at": now.isoformat()}) + "\n"
    new = folder / f"{CLOCK}.{secrets.token_hex(4)}.new"
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(folder / CLOCK)
    finally:
        new.unlink(missing_ok=True)


# ------------------------------------------------------------------ freezing


def _all_frozen(folder: Path, kit: Kit) -> tuple[Frozen, ...]:
    """Every exercise; UsageError with all that is wrong with any of them."""
    parts, problems = [], []
    for one in kit.exercises:
        try:
            parts.append(_frozen(folder, one))
        except UsageError as error:
            problems.append(f"{one.id}: {error.message} {error.tip or ''}".strip())
    if problems:
        raise UsageError(
            _listed("This kit cannot be handed in as it is:", problems),
            tip="If that does not help, make a zip of the whole folder yourself and send that.",
        )
    return tuple(parts)


def _refuse_broken(parts: Sequence[Frozen]) -> None:
    if broken := [problem for part in parts for problem in part.broken]:
        raise UsageError(
            _listed("Python cannot read what would be handed in:", broken),
            tip="Correct it. Or hand it in as it is: archprep submit --anyway",
        )


def _listed(head: str, problems: Sequence[str]) -> str:
    return "\n".join([head, *(f"  {problem}" for problem in problems)])


def _frozen(folder: Path, one: KitExercise) -> Frozen:
    exercise = catalog.get(one.id)
    directory = _folder_of(folder, one)
    _require(exercise, directory)
    with tempfile.TemporaryDirectory(prefix="archprep-submit-") as temporary:
        stage = Path(temporary, "stage")
        try:
            submission = intake.freeze(directory, exercise, stage)
            contents = {file.path: (stage / file.path).read_bytes() for file in submission.files}
        finally:
            intake.discard(stage)
    broken = (_unreadable(name, data) for name, data in contents.items() if name.endswith(".py"))
    return Frozen(
        exercise=one,
        title=exercise.title,
        files=submission.files,
        contents=contents,
        edited=_edited(directory, submission.files),
        broken=tuple(f"{one.folder}/{problem}" for problem in broken if problem),
        notes=tuple(_notes(one, exercise, contents)),
    )


def _folder_of(folder: Path, one: KitExercise) -> Path:
    """Where an exercise is worked on: also under another name, by the marker in it."""
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
    raise UsageError(f"its folder {one.folder} is missing.", tip="Bring it back from the zip.")


def _require(exercise: Exercise, directory: Path) -> None:
    absent = [name for name in exercise.entry if not (directory / name).is_file()]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise UsageError(
            f"{' and '.join(absent)} {verb} missing from {sanitize(str(directory), 300)}.",
            tip="Was it renamed or moved? Give it its name back; a starter from the zip will do.",
        )


def _unreadable(name: str, data: bytes) -> str | None:
    """Why Python cannot read a file, with the line; None when it can."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an escape, say: it is valid all the same
            ast.parse(data, filename=name)
    except SyntaxError as error:
        place = f":{error.lineno}" if error.lineno else ""
        return f"{name}{place}: {sanitize(error.msg or 'invalid syntax', 200)}"
    except (RecursionError, MemoryError):
        return f"{name}: is nested too deeply for Python"
    except ValueError as error:  # NUL bytes, before Python 3.12
        return f"{name}: {sanitize(str(error), 200)}"
    return None


def _edited(directory: Path, files: Sequence[SubmittedFile]) -> dict[str, str]:
    """When each file was last changed, by this machine."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError, OverflowError, ValueError):
            changed = (directory / file.path).lstat().st_mtime
            found[file.path] = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
    return found


def _notes(one: KitExercise, exercise: Exercise, contents: dict[str, bytes]) -> Iterator[str]:
    """What is worth a second look, but no reason to refuse anything."""
    if exercise.version != one.version:
        yield (
            f"{one.id} is version {one.version} in the kit and {exercise.version} in this "
            "archprep. If in doubt, hand in the whole folder as a zip of your own."
        )
    starter = exercise_files.starter_files(exercise)
    if all(contents[name] == starter[name].read_bytes() for name in exercise.entry):
        yield f"{one.id}: {' and '.join(exercise.entry)} as handed out, nothing is written yet."


# ------------------------------------------------------------------ the zip


def _reported(parts: Sequence[Frozen], begun_at: datetime | None, now: datetime) -> bytes:
    """What this machine says about itself; the grader shows it as reported by the candidate."""
    at = {part.exercise.folder: part for part in parts}
    said = {
        "format": FORMAT,
        "begun_at": begun_at.isoformat() if begun_at else None,
        "submitted_at": now.isoformat(),
        "files": {f"{k}/{file.path}": file.sha256 for k, part in at.items() for file in part.files},
        "edited": {f"{k}/{name}": t for k, part in at.items() for name, t in part.edited.items()},
    }
    return (json.dumps(said, indent=2) + "\n").encode()


def _name(folder: Path, kit: Kit) -> str:
    """The kit's own name, "-2" included, unless somebody has given its folder another."""
    own, name = kits.slug(kit.candidate), kits.slug(folder.name)
    return name if name == own or name.startswith(f"{own}-") else own


def _write(folder: Path, stem: str, data: bytes) -> Path:
    """Write under the first name that is free."""
    for number in range(1, _MOST_SUBMISSIONS):
        target = folder / (f"{stem}.zip" if number == 1 else f"{stem}-{number}.zip")
        with contextlib.suppress(FileExistsError):
            kits.write_new(target, data)
            return target
    raise UsageError(
        f"{sanitize(str(folder), 300)} holds {_MOST_SUBMISSIONS - 1} submissions already.",
        tip="Move earlier ones elsewhere.",
    )


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(folder), 300)} cannot be used: {error.strerror or error}.",
            tip="Make room there, or move the kit to a folder of yours, which you can write to.",
        ) from error
