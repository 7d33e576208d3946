"""Compares a submission's files with the starter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archprep.core.sanitize import sanitize
from archprep.interview.reports.evidence import MAX_TEXT
from archprep.workspace.submission import DISCUSSION

_MAX_COMPARED = 5_000  # lines of a file: the time to compare grows with their square


@dataclass(frozen=True, slots=True)
class StarterDiff:
    """How the files differ from the starter; a line's kind is add, del, hunk or empty."""

    changed: list[tuple[str, list[tuple[str, str]]]]
    unchanged: list[str]
    new: list[str]
    gone: list[str]
    too_long: list[str]


def compare(source: Mapping[str, str], starter: Mapping[str, str]) -> StarterDiff:
    """Return how a submission's files differ from the starter's; the discussion is left out."""
    both = sorted(source.keys() & starter.keys())
    changed = [name for name in both if source[name] != starter[name]]
    long = {name for name in changed if len(split_lines(source[name])) > _MAX_COMPARED}
    return StarterDiff(
        changed=[
            (name, list(_diff(starter[name], source[name]))) for name in changed if name not in long
        ],
        unchanged=[name for name in both if name not in changed],
        new=_names(source.keys() - starter.keys() - {DISCUSSION}),
        gone=_names(starter.keys() - source.keys()),
        too_long=_names(long),
    )


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as they are shown."""
    return sanitize(text, MAX_TEXT).split("\n")


def _names(names: set[str]) -> list[str]:
    return [sanitize(name, 300) for name in sorted(names)]


def _diff(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The lines of a unified diff, without its header."""
    import difflib

    old, new = (split_lines(text) for text in (before, after))
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    for line in list(difflib.unified_diff(old, new, lineterm=""))[2:]:
        yield kinds.get(line[0], ""), line
