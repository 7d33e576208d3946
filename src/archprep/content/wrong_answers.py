"""Wrong answers: what the graders must reject, written as small edits of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archprep.content.yaml_reader import MappingReader, display_path
from archprep.core.errors import ContentError
from archprep.core.model import Exercise


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """A near-miss solution that must lose exactly the criteria in `loses`."""

    name: str
    defect: str
    says: str  # what it does wrong
    loses: tuple[str, ...] | Literal["all"]
    path: Path
    edits: Mapping[str, tuple[tuple[str, str], ...]]  # by file: (old text, new text)
    complete: Mapping[str, str]  # files that replace those of the reference
    rules: tuple[str, ...] = ()  # that it breaks, if the criteria it loses do not show them

    def files(self, reference: Mapping[str, str]) -> dict[str, str]:
        """Return the reference with this defect; ContentError if an edit does not fit it."""
        result = {**reference, **self.complete}
        for name, changes in self.edits.items():
            if name not in reference:
                raise ContentError(f"{display_path(self.path)}: the reference has no file {name}.")
            for old, new in changes:
                result[name] = self._edited(name, result[name], old, new)
        return result

    def _edited(self, name: str, text: str, old: str, new: str) -> str:
        if (count := text.count(old)) != 1:
            raise ContentError(
                f"{display_path(self.path)}: the text to replace must occur once in {name}, "
                f"but occurs {count} times: {old.strip().splitlines()[0]!r}."
            )
        return text.replace(old, new)


def find_wrong_answers(exercise: Exercise) -> list[Path]:
    """Return the files that describe the wrong answers of an exercise, by name."""
    return sorted((exercise.grader_dir / "wrong").glob("*.yaml"))


def read_wrong_answer(path: Path) -> WrongAnswer:
    """Return the wrong answer that a file of `wrong/` describes."""
    reader = MappingReader(path)
    reader.check_keys({"defect", "says", "loses"}, {"edits", "files", "rules"})
    if ("edits" in reader.data) == ("files" in reader.data):
        raise reader.error("edits", "or `files` must be given, but not both")
    for key in reader.data.keys() & {"edits", "files"}:
        if not reader.get(key, dict):
            raise reader.error(key, "is empty")
    loses = "all" if reader.data["loses"] == "all" else reader.string_list("loses")
    if not loses:
        raise reader.error("loses", "must name at least one criterion")
    complete = MappingReader(path, reader.get("files", dict, {}), "files.")
    return WrongAnswer(
        name=path.stem,
        defect=reader.get("defect", str),
        says=reader.get("says", str),
        loses=loses,  # type: ignore[arg-type] # "all" is the only plain string
        path=path,
        edits={
            name: _edits(reader, name, items)
            for name, items in reader.get("edits", dict, {}).items()
        },
        rules=reader.string_list("rules"),
        complete={name: complete.get(name, str) for name in complete.data},
    )


def _edits(reader: MappingReader, name: str, items: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(items, list) or not items:
        raise reader.error(f"edits.{name}", "must be a list of `replace` and `by`")
    return tuple(_edit(MappingReader(reader.path, item, f"edits.{name}.")) for item in items)


def _edit(reader: MappingReader) -> tuple[str, str]:
    reader.check_keys({"replace", "by"}, set())
    old, new = reader.get("replace", str), reader.data["by"]
    if not isinstance(new, str) or new == old:
        raise reader.error("by", "must be text that differs from `replace`")
    return old, new
