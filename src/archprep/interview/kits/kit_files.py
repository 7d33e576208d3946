"""The files in a kit: the README, the signed manifest, and a folder for each exercise."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archprep.core.files import PACKAGE
from archprep.core.model import Exercise, SubmittedFile
from archprep.interview.kits import manifest
from archprep.interview.model import Kit, KitExercise
from archprep.workspace import submission
from archprep.workspace.folder import MARKER, README, start_workspace

_PLAIN_PACKAGE = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class ExerciseFiles:
    """An exercise's folder, the same for every candidate except for the workspace marker.

    The marker is kept apart because it contains a time. The digest leaves it out, so a later kit
    of the same version has the same digest.
    """

    exercise: Exercise
    files: dict[str, bytes]
    marker: dict[str, object]

    @classmethod
    def of(cls, exercise: Exercise) -> ExerciseFiles:
        """Lay out the exercise as `archprep start` does, and read it back."""
        with tempfile.TemporaryDirectory(prefix="archprep-kit-") as folder:
            made = start_workspace(exercise, Path(folder, exercise.folder)).path
            found = {
                path.relative_to(made).as_posix(): path.read_bytes()
                for path in sorted(made.rglob("*"))
                if path.is_file()
            }
            # A brief may contain the path of its folder; on the candidate's machine it is another.
            here = f"{made.parent}{os.sep}".encode()
            found[README] = found[README].replace(here, b"")
        marker = json.loads(found.pop(MARKER))
        return cls(exercise, found, marker)

    @property
    def in_manifest(self) -> KitExercise:
        """The exercise as the manifest lists it."""
        files = (
            SubmittedFile(path, hashlib.sha256(data).hexdigest(), len(data))
            for path, data in self.files.items()
        )
        digest = submission.digest(tuple(files))
        one = self.exercise
        return KitExercise(one.id, one.folder, one.version, digest, one.selection)

    def made_at(self, time: str) -> dict[str, bytes]:
        """Return all files of the folder for a kit made at this time."""
        marker = json.dumps({**self.marker, "started_at": time}, indent=2) + "\n"
        return {**self.files, MARKER: marker.encode()}


def kit_files(kit: Kit, exercises: Sequence[ExerciseFiles], key: bytes) -> dict[str, bytes]:
    """Return everything in a kit, by its path in the kit's folder."""
    files = {
        README: _readme(kit, [one.exercise for one in exercises]).encode(),
        manifest.NAME: manifest.dumps(kit, key).encode(),
    }
    for one in exercises:
        folder = one.exercise.folder
        files |= {f"{folder}/{path}": data for path, data in one.made_at(kit.made_at).items()}
    return files


def _readme(kit: Kit, exercises: Sequence[Exercise]) -> str:
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - our own Markdown, not HTML
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
    """The arguments of `pip install`, in double quotes where a shell needs them."""
    names = dict.fromkeys(["pytest", *(name for e in exercises for name in e.packages)])
    return [name if _PLAIN_PACKAGE.fullmatch(name) else f'"{name}"' for name in names]
