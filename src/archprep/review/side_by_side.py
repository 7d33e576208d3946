"""Files of two sides beside each other, within limits that no candidate's file can stretch.

Finding the lines that belong together takes, for lines chosen to that end, time that grows with
the cube of their number: a few kilobytes would keep everybody waiting for minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, zip_longest

from archprep.core.sanitize import sanitize
from archprep.report import html

_AROUND = 4  # equal lines that are shown above and below what differs
_ROWS = 10_000  # of a page, from which on nothing more is begun: it must open in a browser
_EFFORT = 100_000_000  # comparisons of a page: about a second of the worst


@dataclass(frozen=True, slots=True)
class Line:
    """A line of two files side by side; a number is None where that side has no line here."""

    same: bool
    left: tuple[int, str] | None = None
    right: tuple[int, str] | None = None
    skipped: int = 0  # this many equal lines stand here instead


@dataclass(frozen=True, slots=True)
class Pair:
    """A file in two versions; `gone` says which side does not have it.

    What is not `is_aligned` has the first line beside the first; `left_out` counts lines.
    """

    name: str
    lines: tuple[Line, ...]
    gone: str
    is_aligned: bool
    left_out: int


def pairs(left: Mapping[str, str], right: Mapping[str, str], *, whole: bool = True) -> list[Pair]:
    """The files of two sides, those of both first; what is equal is folded unless `whole`."""
    names = sorted(left.keys() | right.keys(), key=lambda n: ((n in left) + (n in right) < 2, n))
    page = _Page()
    found = [page.pair(name, left.get(name), right.get(name)) for name in names]
    return found if whole else [replace(pair, lines=tuple(_folded(pair.lines))) for pair in found]


def _folded(lines: Sequence[Line]) -> Iterator[Line]:
    """Long stretches of equal lines as one, but for the lines around what differs."""
    for same, group in groupby(lines, key=lambda line: line.same):
        stretch = list(group)
        hidden = len(stretch) - 2 * _AROUND
        if not same or hidden < _AROUND:
            yield from stretch
        else:
            yield from (*stretch[:_AROUND], Line(same=True, skipped=hidden), *stretch[-_AROUND:])


class _Page:
    """Pairs files as long as there is room on the page, and time to align them."""

    def __init__(self) -> None:
        self._rows = _ROWS
        self._effort = _EFFORT

    def pair(self, name: str, left: str | None, right: str | None) -> Pair:
        ours, theirs = whole = _lines(left), _lines(right)
        ours, theirs = ours[: self._rows], theirs[: self._rows]
        is_aligned = self._has_time_for(ours, theirs)
        lines = tuple((_aligned if is_aligned else _in_step)(ours, theirs))
        self._rows = max(0, self._rows - len(lines))
        gone = "left" if left is None else "right" if right is None else ""
        left_out = sum(map(len, whole)) - len(ours) - len(theirs)
        return Pair(sanitize(name, 300), lines, gone, is_aligned, left_out)

    def _has_time_for(self, left: Sequence[str], right: Sequence[str]) -> bool:
        """Whether aligning them ends soon at the worst; if so, it is taken off."""
        effort = _effort(left, right)
        fits = effort <= self._effort
        self._effort -= effort if fits else 0
        return fits


def _effort(left: Sequence[str], right: Sequence[str]) -> int:
    """How much there is to compare at most: all that is alike, once for each line in common."""
    times = Counter(right)
    alike = sum(times[line] for line in left)
    return (len(left) + alike) * min(len(left), len(right))


def _lines(text: str | None) -> list[str]:
    return [] if text is None else html.numbered({"": text})[0][1]


def _aligned(left: Sequence[str], right: Sequence[str]) -> Iterator[Line]:
    """Lines that both have stand beside each other: the starter holds the two together."""
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        ours = [(n + 1, left[n]) for n in range(a, b)]
        theirs = [(n + 1, right[n]) for n in range(c, d)]
        for one, other in zip_longest(ours, theirs):
            yield Line(kind == "equal", one, other)


def _in_step(left: Sequence[str], right: Sequence[str]) -> Iterator[Line]:
    for number, (one, other) in enumerate(zip_longest(left, right), 1):
        ours, theirs = (None if line is None else (number, line) for line in (one, other))
        yield Line(one == other, ours, theirs)
