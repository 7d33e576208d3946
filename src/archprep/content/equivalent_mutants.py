"""Equivalent mutants: changes of the reference that no rule can distinguish from it."""

from __future__ import annotations

from dataclasses import dataclass

from archprep.content.yaml_reader import MappingReader, display_path, read_yaml
from archprep.core.errors import ContentError
from archprep.core.model import Exercise

FILE = "equivalent.yaml"


@dataclass(frozen=True, slots=True)
class Change:
    """What a mutant changes, in words that stay the same when other lines move.

    `before` and `after` are the changed lines without their indentation. `nth` counts the changes
    of one function that read the same.
    """

    file: str
    function: str  # its qualified name, or "" outside all functions and classes
    before: str
    after: str
    nth: int = 1

    def __str__(self) -> str:
        function = f" {self.function}" if self.function else ""
        nth = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.file}{function}: {self.before!r} -> {self.after!r}{nth}"


def load(exercise: Exercise) -> dict[Change, str]:
    """Return the equivalent mutants that an exercise lists, each with the reason."""
    path = exercise.grader_dir / FILE
    if not path.is_file():
        return {}
    entries = read_yaml(path) or []
    if not isinstance(entries, list):
        raise ContentError(f"{display_path(path)} must be a list of mutants.")
    listed: dict[Change, str] = {}
    for number, entry in enumerate(entries, start=1):
        reader = MappingReader(path, entry, f"[{number}].")
        change = _change(reader)
        if change in listed:
            raise reader.error("before", "repeats an earlier entry")
        listed[change] = reader.get("reason", str)
    return listed


def _change(reader: MappingReader) -> Change:
    reader.check_keys({"file", "before", "after", "reason"}, {"function", "nth"})
    return Change(
        reader.get("file", str),
        reader.get("function", str) if "function" in reader.data else "",
        reader.get("before", str).strip(),
        reader.get("after", str).strip(),
        reader.positive_int("nth") if "nth" in reader.data else 1,
    )
