"""The programs of a sweep: those kept in an exercise's corpus first, then random ones.

A corpus file holds one shrunk program that showed a fault: `{"task": 2, "rule": "…",
"says": "…", "program": {…}}`. It is played with names and numbers drawn anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from archprep.core.errors import ContentError
from archprep.core.files import write_atomically
from archprep.grading.toolkit.sweep_spec import Program, Sweep, drawn


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """A program of the corpus, the rule that it is about, and the fault that it shows."""

    task: int
    rule: str
    says: str
    program: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draw:
    """What programs depend on, apart from their task and number."""

    seed: int
    version: int  # of the exercise

    def programs(self, spec: Sweep, task: int, count: int) -> list[Program]:
        """Return the first `count` random programs of a task."""
        return [spec.draw(self._rng(task, n), task) for n in range(count)]

    def redrawn(self, spec: Sweep, name: str, kept: Kept) -> Program:
        """Return a program of the corpus with other names and numbers."""
        return spec.redraw(self._rng(kept.task, name), kept.program)

    def _rng(self, task: int, number: int | str) -> Any:
        return drawn(self.seed, self.version, task, number)


def corpus(folder: Path) -> Iterator[tuple[str, Kept]]:
    """Yield the kept programs of an exercise with their names; ContentError if one is malformed."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield path.stem, msgspec.json.decode(path.read_bytes(), type=Kept)
        except msgspec.MsgspecError as e:
            raise ContentError(f"{path.parent.name}/{path.name}: {e}.") from None


def keep(folder: Path, name: str, kept: Kept) -> None:
    """Write a program into the corpus."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(msgspec.to_builtins(kept), indent=1) + "\n"
    write_atomically(folder / f"{name}.json", text.encode())
