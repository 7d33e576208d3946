"""Files of two sides aligned line by line, within limits that no candidate's file can exceed.

SequenceMatcher takes cubic time on input chosen for that: a few kilobytes would block the server
for minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, zip_longest

from archprep.core.sanitize import sanitize
from archprep.report import html

_CONTEXT_LINES = 4  # equal lines shown above and below a difference
_MAX_LINES = 10_000  # of a page, which must open in a browser
_MAX_COMPARISONS = 100_000_000  # of a page: about a second in the worst case


@dataclass(frozen=True, slots=True)
class LinePair:
    """A line of two files side by side; a side is None if it has no line here."""

    same: bool
    left: tuple[int, str] | None = None
    right: tuple[int, str] | None = None
    skipped: int = 0  # number of equal lines that this one replaces


@dataclass(frozen=True, slots=True)
class FilePair:
    """A file in two versions; `missing` is the side without it: "left", "right" or "".

    Unless the file `is_aligned`, lines are paired by number. `left_out` counts lines.
    """

    name: str
    lines: tuple[LinePair, ...]
    missing: str
    is_aligned: bool
    left_out: int


def pair_files(
    left: Mapping[str, str], right: Mapping[str, str], *, whole: bool = True
) -> list[FilePair]:
    """The files of two sides, common ones first. Equal lines are folded unless `whole`."""
    names = sorted(left.keys() | right.keys(), key=lambda n: ((n in left) + (n in right) < 2, n))
    budget = _Budget()
    found = [budget.pair(name, left.get(name), right.get(name)) for name in names]
    return found if whole else [replace(pair, lines=tuple(_folded(pair.lines))) for pair in found]


def _folded(lines: Sequence[LinePair]) -> Iterator[LinePair]:
    """Replace long runs of equal lines, except for those around a difference."""
    for same, group in groupby(lines, key=lambda line: line.same):
        run = list(group)
        hidden = len(run) - 2 * _CONTEXT_LINES
        if not same or hidden < _CONTEXT_LINES:
            yield from run
        else:
            yield from run[:_CONTEXT_LINES]
            yield LinePair(same=True, skipped=hidden)
            yield from run[-_CONTEXT_LINES:]


class _Budget:
    """Pairs files while the page has room, and aligns them while there is time."""

    def __init__(self) -> None:
        self._lines = _MAX_LINES
        self._comparisons = _MAX_COMPARISONS

    def pair(self, name: str, left: str | None, right: str | None) -> FilePair:
        all_left, all_right = _lines(left), _lines(right)
        shown_left, shown_right = all_left[: self._lines], all_right[: self._lines]
        is_aligned = self._can_align(shown_left, shown_right)
        lines = tuple((_aligned if is_aligned else _by_number)(shown_left, shown_right))
        self._lines = max(0, self._lines - len(lines))
        missing = "left" if left is None else "right" if right is None else ""
        left_out = len(all_left) - len(shown_left) + len(all_right) - len(shown_right)
        return FilePair(sanitize(name, 300), lines, missing, is_aligned, left_out)

    def _can_align(self, left: Sequence[str], right: Sequence[str]) -> bool:
        """Whether the worst case fits the budget; if so, it is deducted."""
        needed = _worst_case(left, right)
        fits = needed <= self._comparisons
        self._comparisons -= needed if fits else 0
        return fits


def _worst_case(left: Sequence[str], right: Sequence[str]) -> int:
    """The maximum number of comparisons: all equal pairs, once for each common line."""
    times = Counter(right)
    equal_pairs = sum(times[line] for line in left)
    return (len(left) + equal_pairs) * min(len(left), len(right))


def _lines(text: str | None) -> list[str]:
    return [] if text is None else html.numbered({"": text})[0][1]


def _aligned(left: Sequence[str], right: Sequence[str]) -> Iterator[LinePair]:
    """Pair the lines that both sides have in common."""
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for kind, left_start, left_end, right_start, right_end in matcher.get_opcodes():
        left_lines = [(n + 1, left[n]) for n in range(left_start, left_end)]
        right_lines = [(n + 1, right[n]) for n in range(right_start, right_end)]
        for left_line, right_line in zip_longest(left_lines, right_lines):
            yield LinePair(kind == "equal", left_line, right_line)


def _by_number(left: Sequence[str], right: Sequence[str]) -> Iterator[LinePair]:
    for number, (left_text, right_text) in enumerate(zip_longest(left, right), 1):
        yield LinePair(
            left_text == right_text,
            None if left_text is None else (number, left_text),
            None if right_text is None else (number, right_text),
        )
