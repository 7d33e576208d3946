"""Kits of the toy exercises, and what is in them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from archprep.core.errors import UsageError
from archprep.interview.kits.make_kits import chosen_exercises, make_kits
from archprep.interview.model import Kit, KitExercise

if TYPE_CHECKING:
    from pathlib import Path

MADE_AT = "2026-03-02T09:00:00+00:00"
KEY = bytes(32)
KIT = Kit("Ada", 90, MADE_AT, "0.1", (KitExercise("q1", "q01_event_bus", 1, "ab" * 32),))


def make(out: Path, *names: str, ids: str = "q1,q3", minutes: int = 120) -> list[Path]:
    made = make_kits(chosen_exercises(ids), names, minutes, out, made_at=MADE_AT)
    return [one.path for one in made]


def members(path: Path) -> dict[str, bytes]:
    """The files of a zip, by their path in its only folder."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (top,) = {name.partition("/")[0] for name in files}
    assert top == path.stem
    return {name.partition("/")[2]: data for name, data in files.items()}


def refusal(*args: object) -> str:
    """The message when `make` refuses these arguments."""
    with pytest.raises(UsageError) as caught:
        make(*args)  # type: ignore[arg-type]
    assert caught.value.tip
    return caught.value.message
