"""Makes kits: one zip per candidate, with everything they need and nothing that grades them.

Everything is checked before the first zip is written. Existing files are never overwritten, and
either all kits are written or none.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archprep import __version__
from archprep.content import catalog, selection
from archprep.core.errors import UsageError
from archprep.core.files import write_atomically
from archprep.core.model import GRADED_WITH, Exercise
from archprep.interview.kits import manifest, people, signing_key
from archprep.interview.kits.kit_files import ExerciseFiles, kit_files
from archprep.interview.model import Kit
from archprep.interview.text import shown
from archprep.interview.zips.zip_writer import zipped

_TASKS = re.compile(r"\d+(-\d*)?")


@dataclass(frozen=True, slots=True)
class WrittenKit:
    """A kit that was written."""

    path: Path
    candidate: str


def make_kits(
    exercises: Sequence[Exercise],
    candidates: Sequence[str],
    minutes: int,
    out: Path,
    *,
    made_at: str | None = None,
) -> list[WrittenKit]:
    """Write a kit for each candidate to the folder `out`: all of them, or none."""
    _check_minutes(minutes)
    names = people.checked(candidates)
    slugs = list(people.unique_slugs(names))
    kits = [WrittenKit(out / f"{slug}.zip", name) for slug, name in zip(slugs, names, strict=True)]
    _refuse_existing([kit.path for kit in kits])
    layout = [ExerciseFiles.of(exercise) for exercise in exercises]
    key = signing_key.load_or_create()
    made_at = made_at or datetime.now(UTC).isoformat(timespec="seconds")
    listed = tuple(one.in_manifest for one in layout)
    with _all_or_nothing(out) as written:
        for slug, made in zip(slugs, kits, strict=True):
            kit = Kit(
                made.candidate,
                minutes,
                made_at,
                __version__,
                listed,
                id=secrets.token_hex(16),
                python=GRADED_WITH,
            )
            files = kit_files(kit, layout, key)
            data = zipped({f"{slug}/{path}": content for path, content in files.items()})
            write_atomically(made.path, data, replace=False)
            written.append(made.path)
    return kits


def chosen_exercises(names: str) -> list[Exercise]:
    """Return the exercises of a list such as "q1:1-2,q3", in its order.

    After a colon stand the tasks: "core", or numbers and ranges. "q1:1,3,q6" is q1 with tasks 1
    and 3, and q6.
    """
    wanted = _items(names)
    if not all(wanted):
        raise UsageError(
            "--questions is empty, or has a comma too many.",
            tip="Separate the exercises with commas: --questions q1,q3",
        )
    found = [_chosen(name) for name in wanted]
    if twice := people.repeated(exercise.id for exercise in found):
        raise UsageError(
            f"--questions names {' and '.join(twice)} twice.", tip="Name each exercise once."
        )
    return found


def _items(names: str) -> list[str]:
    """Split at commas, but not within the numbers of tasks."""
    found: list[str] = []
    for item in map(str.strip, names.split(",")):
        if found and ":" in found[-1] and _TASKS.fullmatch(item):
            found[-1] += f",{item}"
        else:
            found.append(item)
    return found


def _chosen(name: str) -> Exercise:
    identifier, colon, tasks = name.partition(":")
    exercise = catalog.get(identifier.strip())
    if not colon:
        return exercise
    asks = f"--questions {exercise.id}:"
    return selection.chosen(exercise, tasks, lambda right: f"{asks}{right}")


def _check_minutes(minutes: int) -> None:
    if not 0 < minutes <= manifest.MAX_MINUTES:
        raise UsageError(
            f"--minutes must be between 1 and {manifest.MAX_MINUTES:,}, not {minutes}.",
            tip="Leave it out to use the sum of the exercises' own times.",
        )


def _refuse_existing(targets: Sequence[Path]) -> None:
    if existing := [path for path in targets if os.path.lexists(path)]:
        more = f" and {len(existing) - 1:,} more" if len(existing) > 1 else ""
        verb = "exists" if len(existing) == 1 else "exist"
        raise UsageError(
            f"{shown(existing[0])}{more} already {verb}.",
            tip="Nothing was written. Use another folder: --out FOLDER",
        )


@contextlib.contextmanager
def _all_or_nothing(out: Path) -> Iterator[list[Path]]:
    """Remove the files that were written if anything fails before the end."""
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
                f"Kits cannot be written to {shown(out)}: {error.strerror or error}.",
                tip="Nothing was written. Free up space, or use another folder: --out FOLDER",
            ) from error
        raise
