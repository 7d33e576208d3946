"""Recognizes what a submission contains: a kit, or the workspace of a single exercise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.model import Exercise
from archprep.interview import starter
from archprep.interview.kits import manifest
from archprep.interview.model import Kit, KitExercise, SubmittedExercise
from archprep.interview.submission_rules import RefusedError
from archprep.interview.submissions import digests, untrusted_files
from archprep.interview.submissions.entry import Entry
from archprep.interview.submissions.reported_times import ReportedTimes
from archprep.interview.submissions.untrusted_files import ASK_FOR_ZIP, subfolders
from archprep.interview.text import one_line
from archprep.interview.zips.extract import write_errors
from archprep.workspace.folder import MARKER, looks_like_workspace

NOT_CHECKED = "signature not checked: the key that signed this kit is not on this machine"
FORGED = (
    "invalid signature: the kit's manifest was changed, or signed with another key; "
    "the name shown is that of the file"
)
MAX_MARKER_BYTES = 4096
MAX_COVERS = 4  # folders around a kit, such as Downloads/kit/alice


class NoSubmissionError(RefusedError):
    """The entry does not look like a submission at all."""


@dataclass
class ContentsReader:
    """Adds to an entry what its folder contains; `work` takes stand-ins for missing folders."""

    work: Path
    exercises: dict[str, Exercise]
    key: bytes | None

    def read(self, root: Path, hashes: dict[str, str], entry: Entry) -> None:
        """Look at the top of the folder, then one level down, and so on.

        `hashes` are of the wanted files in `root`, by path. RefusedError for anything but one kit
        or one workspace.
        """
        levels = _levels(root)
        for places in levels:
            kits = [place for place in places if os.path.lexists(place / manifest.NAME)]
            if len(kits) > 1:
                raise RefusedError(f"{entry.source} contains {len(kits)} kits.", tip=ASK_FOR_ZIP)
            if kits:
                return self._add_kit(kits[0], digests.below(kits[0], root, hashes), entry)
        for places in levels:
            if found := [(place, e) for place in places if (e := self._exercise_of(place))]:
                return self._add_workspace(found, root, hashes, entry)
        raise NoSubmissionError(
            f"{entry.source} contains neither {manifest.NAME} nor the workspace of one exercise.",
            tip=ASK_FOR_ZIP,
        )

    # -------------------------------------------------------------- a workspace

    def _exercise_of(self, place: Path) -> str | None:
        """The exercise that the marker names, or the only one with such files."""
        if (marked := _marked(place)) is not None:
            return marked[0]
        fitting = [i for i, e in self.exercises.items() if looks_like_workspace(place, e)]
        return fitting[0] if len(fitting) == 1 else None

    def _add_workspace(
        self, found: list[tuple[Path, str]], root: Path, hashes: dict[str, str], entry: Entry
    ) -> None:
        if len(found) > 1:
            raise RefusedError(
                f"{entry.source} contains {len(found)} workspaces but no {manifest.NAME}.",
                tip=f"Put {manifest.NAME} back, or give each workspace an entry of its own.",
            )
        [(place, exercise)] = found
        if exercise not in self.exercises:
            raise RefusedError(
                f"{entry.source} is a workspace of {_unknown(exercise)}.",
                tip="This archprep may be older than the candidate's.",
            )
        marked = _marked(place)
        entry.flags += self._version_flags(exercise, marked[1] if marked else None)
        entry.exercises.append(SubmittedExercise(exercise, place))
        entry.flags += self._unchanged(exercise, digests.below(place, root, hashes))

    # -------------------------------------------------------------- a kit

    def _add_kit(self, top: Path, hashes: dict[str, str], entry: Entry) -> None:
        try:
            text = untrusted_files.read_text(top / manifest.NAME, manifest.MAX_BYTES)
            kit, signature = manifest.loads(text)
        except UsageError as error:
            problem = f"{entry.source}: {one_line(error.message, 400)}"
            raise RefusedError(problem, tip=error.tip) from error
        entry.kit = kit
        self._set_name(kit, signature, entry)
        for asked in kit.exercises:
            self._add_exercise(top, asked, entry)
        for one in entry.exercises:
            if one.directory.parent == top:
                entry.flags += self._unchanged(
                    one.exercise, digests.below(one.directory, top, hashes)
                )
        if not entry.exercises:
            raise RefusedError(
                f"No exercise of {entry.source} can be graded here.", tip=ASK_FOR_ZIP
            )
        ReportedTimes(top, kit, entry).add_flags(hashes)

    def _set_name(self, kit: Kit, signature: str, entry: Entry) -> None:
        """Use the name in the manifest, unless the signature proves that it was changed."""
        if self.key is None:
            entry.flags.append(NOT_CHECKED)
        elif not manifest.genuine(kit, signature, self.key):
            entry.flags.append(FORGED)
            return
        entry.kit_id = manifest.identity(kit, signature)
        entry.name = one_line(kit.candidate, 100) or entry.name

    def _add_exercise(self, top: Path, asked: KitExercise, entry: Entry) -> None:
        if asked.id not in self.exercises:
            entry.flags.append(f"not graded: {_unknown(asked.id)}")
            return
        entry.flags += self._version_flags(asked.id, asked.version)
        place = _folder_of(top, asked)
        if place is None:
            entry.flags.append(
                f"{asked.id} is missing: the submission has no folder {asked.folder}"
            )
        # A missing exercise counts too, since it was asked for. Freezing names the missing file.
        directory = place or self._empty_folder(asked.folder)
        entry.exercises.append(SubmittedExercise(asked.id, directory, asked.tasks))

    def _empty_folder(self, name: str) -> Path:
        folder = self.work / "missing" / name
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _unchanged(self, exercise: str, hashes: dict[str, str]) -> Iterator[str]:
        if sentence := starter.unchanged(self.exercises[exercise], hashes):
            yield sentence

    def _version_flags(self, exercise: str, version: int | None) -> Iterator[str]:
        ours = self.exercises[exercise].version
        if version not in (None, ours):
            yield f"{exercise} was handed out as version {version} and is graded as version {ours}"


def _unknown(exercise: str) -> str:
    return f"{one_line(exercise, 20)}, which this archprep does not have"


def _levels(root: Path) -> list[list[Path]]:
    """The folder, the folders in it, and so on, as deep as a kit may lie."""
    levels = [[root]]
    while levels[-1] and len(levels) <= MAX_COVERS:
        levels.append([inner for place in levels[-1] for inner in subfolders(place)])
    return levels


def _folder_of(top: Path, asked: KitExercise) -> Path | None:
    """The exercise's folder; a renamed one is found by its workspace marker."""
    named = top / asked.folder
    if named.is_symlink():
        raise RefusedError(f"{asked.folder} is a link.", tip="Ask for the folder itself.")
    if named.is_dir():
        return named
    marked = [place for place in subfolders(top) if (_marked(place) or ("",))[0] == asked.id]
    return marked[0] if len(marked) == 1 else None


def _marked(place: Path) -> tuple[str, int | None] | None:
    """The exercise and version in a workspace's marker; None if it is missing or damaged."""
    data = untrusted_files.read_json(place / MARKER, MAX_MARKER_BYTES)
    exercise, version = data.get("exercise"), data.get("version")
    if not isinstance(exercise, str) or not exercise:
        return None
    is_sound = type(version) is int and 0 < version < 10**9
    return one_line(exercise, 20), version if is_sound else None
