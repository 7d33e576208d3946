"""Finds exercises: the folders called `q03_rate_limiting` in exercises/, solutions/ and graders/.

There is no list to edit: an exercise exists because its folders do.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from archprep.content import manifest
from archprep.core.errors import ContentError, UsageError
from archprep.core.files import PACKAGE
from archprep.core.model import Exercise


def content_root() -> Path:
    """Return the folder that holds `exercises`, `solutions` and `graders`.

    UsageError if ARCHPREP_CONTENT names a folder without exercises, ContentError if the
    installation has none.
    """
    if chosen := os.environ.get("ARCHPREP_CONTENT"):
        root = Path(chosen).expanduser().absolute()
        if not (root / "exercises").is_dir():
            raise UsageError(
                f"ARCHPREP_CONTENT is {root}, which has no `exercises` folder.",
                tip="Unset ARCHPREP_CONTENT to use the exercises that come with archprep.",
            )
        return root
    for root in (PACKAGE / "_content", PACKAGE.parents[1]):
        if (root / "exercises").is_dir():
            return root
    raise ContentError(
        "The exercises are missing from this installation of archprep.",
        tip="Reinstall it: pip install --force-reinstall archprep",
    )


def load_all() -> list[Exercise]:
    """Return every exercise, ordered by number."""
    root = content_root()
    folders = _folders(root)
    for earlier, later in itertools.pairwise(folders):
        if manifest.folder_number(earlier) == manifest.folder_number(later):
            raise _duplicate([earlier, later])
    return [manifest.load(root, folder) for folder in folders]


def get(name: str) -> Exercise:
    """Return the exercise called `q1`, `1`, `q01_event_bus` or `event_bus`."""
    root = content_root()
    folders = _folders(root)
    wanted = name.strip().rstrip("/").lower().replace("-", "_")
    found = [folder for folder in folders if wanted in _names(folder)]
    if len(found) > 1:
        raise _duplicate(found)
    if not found:
        raise _unknown(name, wanted, folders)
    return manifest.load(root, found[0])


def _folders(root: Path) -> list[str]:
    """Return the exercise folders by number, skipping names that start with `_` or `.`."""
    with os.scandir(root / "exercises") as entries:
        names = [e.name for e in entries if e.name[0] not in "_." and e.is_dir()]
    for name in names:
        if not manifest.FOLDER.fullmatch(name):
            raise ContentError(
                f"exercises/{name}: an exercise folder needs a name like q03_rate_limiting."
            )
    return sorted(names, key=lambda name: (manifest.folder_number(name), name))


def _names(folder: str) -> tuple[str, ...]:
    digits, _, slug = folder[1:].partition("_")
    number = int(digits)
    return (f"q{number}", str(number), f"q{digits}", digits, folder, slug)


def _unknown(name: str, wanted: str, folders: list[str]) -> UsageError:
    import difflib

    from archprep.core.sanitize import sanitize

    known = {alias: f"q{manifest.folder_number(f)}" for f in folders for alias in _names(f)}
    near = [alias for alias in known if len(wanted) > 2 and wanted in alias]
    near += difflib.get_close_matches(wanted, known, n=8, cutoff=0.6)
    ids = list(dict.fromkeys(known[alias] for alias in near))[:3]
    question = f"Did you mean {' or '.join(ids)}? " if ids else ""
    return UsageError(
        f"There is no exercise '{sanitize(name, 60)}'.", tip=f"{question}`archprep list` shows all."
    )


def _duplicate(folders: list[str]) -> ContentError:
    return ContentError(f"These exercises share a number or a name: {', '.join(folders)}.")
