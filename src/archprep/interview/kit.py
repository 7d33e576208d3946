"""Makes kits: one zip a candidate, with all they need and nothing that grades them.

A kit holds what `archprep start` lays out (briefs, starters, public examples, discussion prompts),
a README and the signed manifest. Everything is checked before the first zip is written; a zip is
there wholly or not at all, and nothing that exists is overwritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archprep import __version__
from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.files import PACKAGE
from archprep.core.model import Exercise, SubmittedFile
from archprep.core.sanitize import sanitize
from archprep.interview import manifest
from archprep.interview.model import Kit, KitExercise
from archprep.workspace import submission
from archprep.workspace.folder import MARKER, README, start_workspace

HEADERS = ("name", "candidate")
_SLUG_LENGTH = 60
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell
_PLAIN_PACKAGE = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Made:
    """A kit that was written."""

    path: Path
    candidate: str


def make(
    exercises: Sequence[Exercise],
    candidates: Sequence[str],
    minutes: int,
    out: Path,
    *,
    made_at: str | None = None,
) -> list[Made]:
    """Write a kit for each candidate into `out`: all of them, or none."""
    _check_minutes(minutes)
    slugs = _slugs(_names(candidates))
    targets = {slug: out / f"{slug}.zip" for slug in slugs}
    _refuse_existing(list(targets.values()))
    layout = [_Layout.of(exercise) for exercise in exercises]
    key = manifest.key(create=True)
    assert key is not None
    made_at = made_at or datetime.now(UTC).isoformat(timespec="seconds")
    handed = tuple(one.handed for one in layout)
    with _all_or_nothing(out) as written:
        for slug, name in slugs.items():
            kit = Kit(name, minutes, made_at, __version__, handed)
            files = _files(kit, layout, key)
            write_new(targets[slug], zipped({f"{slug}/{k}": v for k, v in files.items()}))
            written.append(targets[slug])
    return [Made(targets[slug], name) for slug, name in slugs.items()]


def questions(names: str) -> list[Exercise]:
    """The exercises of a list like q1,q3,q6, in its order."""
    wanted = [name.strip() for name in names.split(",")]
    if not all(wanted):
        raise UsageError(
            "--questions names no exercise, or has a comma too many.",
            tip="Write them like this: --questions q1,q3",
        )
    found = [catalog.get(name) for name in wanted]
    if twice := _twice(exercise.id for exercise in found):
        raise UsageError(
            f"--questions names {' and '.join(twice)} twice.", tip="Name each exercise once."
        )
    return found


def candidates(path: Path) -> list[str]:
    """The names in a CSV file: its column `name`, or its first one; a header may be missing."""
    rows = _rows(path)
    first = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    header = next((first.index(word) for word in HEADERS if word in first), None)
    body = rows if header is None else rows[1:]
    names = [_cell(path, line, row, len(first), header or 0) for line, row in body]
    if not names:
        raise UsageError(
            f"{_shown(path)} names no candidate.", tip="Write one name a line, in UTF-8."
        )
    return names


def slug(name: str) -> str:
    """A name for files: letters and digits of ASCII, and "-"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    parts = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:_SLUG_LENGTH].strip("-")
    return parts or "candidate"


# ------------------------------------------------------------------ names


def _check_minutes(minutes: int) -> None:
    if not 0 < minutes <= manifest.MOST_MINUTES:
        raise UsageError(
            f"A kit cannot last {minutes} minutes.",
            tip=f"--minutes takes a number from 1 to {manifest.MOST_MINUTES:,}.",
        )


def _names(candidates: Sequence[str]) -> list[str]:
    """The names, tidy; UsageError for what is no name, and for one that comes twice."""
    names = [_name(name) for name in candidates]
    if twice := _twice(name.casefold() for name in names):
        shown = [name for name in dict.fromkeys(names) if name.casefold() in twice]
        raise UsageError(
            f"Named more than once: {', '.join(shown[:10])}.",
            tip="Nothing was written. Give each candidate a name of their own.",
        )
    return names


def _name(name: str) -> str:
    tidy = re.sub(r"[ \xa0]+", " ", unicodedata.normalize("NFC", name)).strip()
    if not tidy:
        raise UsageError("A candidate has no name.", tip="Nothing was written. Give one.")
    if tidy != sanitize(tidy) or not tidy.isprintable() or len(tidy) > manifest.LONGEST_NAME:
        raise UsageError(
            f"{sanitize(tidy, 40)!r} cannot be a candidate's name.",
            tip=f"Nothing was written. A name is one line of up to {manifest.LONGEST_NAME} "
            "ordinary characters.",
        )
    return tidy


def _slugs(names: Sequence[str]) -> dict[str, str]:
    """The names by file names, which differ also where those of two candidates are alike."""
    found: dict[str, str] = {}
    for name in names:
        stem = slug(name)
        tries = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(names) + 1))
        found[next(one for one in tries if one not in found)] = name
    return found


def _twice(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


# ------------------------------------------------------------------ candidates.csv


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with the line each ends on."""
    import csv

    text = _read_csv(path)
    start = text.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in start), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(
            f"{_shown(path)}, line {reader.line_num}: {error}.",
            tip='Nothing was written. Put names with commas into quotes: "Lee, Ann"',
        ) from error


def _read_csv(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{_shown(path)} is no text in UTF-8.", tip="Save it as CSV in UTF-8."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{_shown(path)} cannot be read: {error.strerror or error}.",
            tip="Name a CSV file with a column `name`.",
        ) from error


def _cell(path: Path, line: int, row: list[str], width: int, column: int) -> str:
    if len(row) > width:
        raise UsageError(
            f"{_shown(path)}, line {line} has more columns than the first line.",
            tip='Nothing was written. Put names with commas into quotes: "Lee, Ann"',
        )
    name = row[column] if column < len(row) else ""
    if not name.strip():
        raise UsageError(
            f"{_shown(path)}, line {line} has no name.",
            tip="Nothing was written. Give a name, or remove the line.",
        )
    return name


def _shown(path: Path) -> str:
    return sanitize(str(path), 300)


# ------------------------------------------------------------------ what is in a kit


@dataclass(frozen=True, slots=True)
class _Layout:
    """An exercise as it is laid out for every candidate; the marker apart, since it tells a time.

    The digest is that of the files but for the marker, so that a later kit of the same version
    has the same one.
    """

    exercise: Exercise
    files: dict[str, bytes]
    marker: dict[str, object]

    @classmethod
    def of(cls, exercise: Exercise) -> _Layout:
        with tempfile.TemporaryDirectory(prefix="archprep-kit-") as folder:
            made = start_workspace(exercise, Path(folder, exercise.folder)).path
            found = {
                path.relative_to(made).as_posix(): path.read_bytes()
                for path in sorted(made.rglob("*"))
                if path.is_file()
            }
            # A brief may name its own folder: that is the candidate's, not one of this machine.
            here = f"{made.parent}{os.sep}".encode()
            found[README] = found[README].replace(here, b"")
        marker = json.loads(found.pop(MARKER))
        return cls(exercise, found, marker)

    @property
    def handed(self) -> KitExercise:
        files = (
            SubmittedFile(path, hashlib.sha256(data).hexdigest(), len(data))
            for path, data in self.files.items()
        )
        exercise = self.exercise
        return KitExercise(
            exercise.id, exercise.folder, exercise.version, submission.digest(tuple(files))
        )

    def at(self, made_at: str) -> dict[str, bytes]:
        """All files of the folder, for a kit that was made then."""
        marker = json.dumps({**self.marker, "started_at": made_at}, indent=2) + "\n"
        return {**self.files, MARKER: marker.encode()}


def _files(kit: Kit, layout: Sequence[_Layout], key: bytes) -> dict[str, bytes]:
    """Everything in a kit, by its path in the kit's folder."""
    files = {
        README: _readme(kit, [one.exercise for one in layout]).encode(),
        manifest.NAME: manifest.dumps(kit, key).encode(),
    }
    for one in layout:
        folder = one.exercise.folder
        files |= {f"{folder}/{path}": data for path, data in one.at(kit.made_at).items()}
    return files


def _readme(kit: Kit, exercises: Sequence[Exercise]) -> str:
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - Markdown of ours, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    template = (PACKAGE / "interview" / "templates" / "kit.md.j2").read_text("utf-8")
    return environment.from_string(template).render(
        kit=kit,
        exercises=exercises,
        packages=" ".join(_packages(exercises)),
        manifest=manifest.NAME,
    )


def _packages(exercises: Sequence[Exercise]) -> list[str]:
    """What pip installs for all of them; in double quotes, which every shell understands."""
    names = dict.fromkeys(["pytest", *(name for e in exercises for name in e.packages)])
    return [name if _PLAIN_PACKAGE.fullmatch(name) else f'"{name}"' for name in names]


# ------------------------------------------------------------------ writing


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _TIMESTAMP)
            info.create_system = 3  # Unix, whose modes these are
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[path], zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def write_new(target: Path, data: bytes) -> None:
    """Write a file wholly or not at all; FileExistsError if something has that name."""
    with target.open("xb"):  # takes the name: what exists is never replaced
        new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except BaseException:
        for path in (target, new):
            with contextlib.suppress(OSError):
                path.unlink()
        raise


def _refuse_existing(targets: Sequence[Path]) -> None:
    there = [path for path in targets if os.path.lexists(path)]
    if there:
        more = f", and {len(there) - 1:,} more" if len(there) > 1 else ""
        verb = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"{_shown(there[0])}{more} {verb} there already.",
            tip="Nothing was written. Name another folder with --out.",
        )


@contextlib.contextmanager
def _all_or_nothing(out: Path) -> Iterator[list[Path]]:
    """Take back what was written when something fails before the end."""
    written: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield written
    except BaseException as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            raise UsageError(
                f"Kits cannot be written to {_shown(out)}: {error.strerror or error}.",
                tip="Nothing was written. Make room there, or name another folder with --out.",
            ) from error
        raise
