"""Wrong answers: what the graders must reject, written as small edits of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archprep.content.yaml_reader import Reader, place
from archprep.core.errors import ContentError


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """A near-miss solution: it must lose exactly the criteria that `loses` names."""

    name: str
    defect: str
    says: str
    loses: tuple[str, ...] | Literal["all"]
    path: Path
    edits: Mapping[str, tuple[tuple[str, str], ...]]
    complete: Mapping[str, str]

    def files(self, reference: Mapping[str, str]) -> dict[str, str]:
        """The reference with this defect put in."""
        result = {**reference, **self.complete}
        for name, changes in self.edits.items():
            if name not in reference:
                raise ContentError(f"{place(self.path)}: the reference has no file {name}.")
            for old, new in changes:
                result[name] = self._edited(name, result[name], old, new)
        return result

    def _edited(self, name: str, text: str, old: str, new: str) -> str:
        if (count := text.count(old)) != 1:
            raise ContentError(
                f"{place(self.path)}: in {name} the text to replace occurs {count} times, "
                f"not once: {old.strip().splitlines()[0]!r}."
            )
        return text.replace(old, new)


def read_wrong_answer(path: Path) -> WrongAnswer:
    """One file of `wrong/`; it gives either edits of the reference or complete files."""
    read = Reader(path)
    read.keys({"defect", "says", "loses"}, {"edits", "files"})
    if ("edits" in read.data) == ("files" in read.data):
        raise read.wrong("edits", "or `files` must be given, and not both")
    for key in read.data.keys() & {"edits", "files"}:
        if not read.get(key, dict):
            raise read.wrong(key, "is empty")
    loses = "all" if read.data["loses"] == "all" else read.strings("loses")
    if not loses:
        raise read.wrong("loses", "names no criterion")
    complete = Reader(path, read.get("files", dict, {}), "files.")
    return WrongAnswer(
        name=path.stem,
        defect=read.get("defect", str),
        says=read.get("says", str),
        loses=loses,  # type: ignore[arg-type] # "all" is the one text
        path=path,
        edits={
            name: _edits(read, name, part) for name, part in read.get("edits", dict, {}).items()
        },
        complete={name: complete.get(name, str) for name in complete.data},
    )


def _edits(read: Reader, name: str, part: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(part, list) or not part:
        raise read.wrong(f"edits.{name}", "must be a list of `replace` and `by`")
    return tuple(_edit(Reader(read.path, item, f"edits.{name}.")) for item in part)


def _edit(read: Reader) -> tuple[str, str]:
    read.keys({"replace", "by"}, set())
    old, new = read.get("replace", str), read.data["by"]
    if not isinstance(new, str) or new == old:
        raise read.wrong("by", "must be a text that differs from `replace`")
    return old, new
