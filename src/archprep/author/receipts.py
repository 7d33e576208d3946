"""Receipts of full proofs, so that one machine does not repeat a proof.

A receipt is keyed by everything that a proof depends on: the exercise's three folders, archprep's
own code, the Python version and the versions of all installed packages. A fresh clone has none.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from archprep.core.files import PACKAGE, is_litter, write_atomically
from archprep.core.model import Exercise
from archprep.workspace.store import cache_dir


def find(exercise: Exercise) -> int | None:
    """The seconds that a full proof of exactly this exercise took, or None without a receipt."""
    try:
        return int(json.loads(_path(exercise).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(exercise: Exercise, seconds: float) -> None:
    """Keep a receipt; a cache that cannot be written only costs the next proof its time."""
    path = _path(exercise)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"exercise": exercise.id, "seconds": round(seconds)}))
    except OSError:
        return


def _path(exercise: Exercise) -> Path:
    folders = (exercise.brief_dir, exercise.solution_dir, exercise.grader_dir)
    parts = [_engine(), *map(_digest, folders)]
    key = hashlib.sha256("".join(parts).encode()).hexdigest()[:24]
    return cache_dir() / "proofs" / f"{exercise.id}-{key}.json"


@functools.cache
def _engine() -> str:
    """A hash of archprep's code, Python, and the names and versions of installed packages."""
    installed = sorted(f"{d.name}=={d.version}" for d in metadata.distributions())
    own = (path for path in PACKAGE.rglob("*") if _CONTENT not in path.parts)
    return hashlib.sha256(
        "\n".join([sys.version, *installed, _hash_of(PACKAGE, own)]).encode()
    ).hexdigest()


_CONTENT = "_content"  # where an installed package has the exercises


def _digest(folder: Path) -> str:
    return _hash_of(folder, folder.rglob("*"))


def _hash_of(root: Path, paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in sorted(paths):
        inner = path.relative_to(root)
        if path.is_file() and not any(is_litter(part) for part in inner.parts):
            found.update(
                f"{inner.as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest()
            )
    return found.hexdigest()
