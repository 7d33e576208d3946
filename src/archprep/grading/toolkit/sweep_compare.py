"""Compares two traces of one program and puts the first difference into words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archprep.grading.toolkit.sweep_spec import Moment, Sweep, Trace

MOST_ERRORS = 3  # shown with a difference
AROUND = 4  # moments shown before and after the first difference


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a candidate's trace departs from the reference's."""

    expected: Counter[Moment]
    observed: Counter[Moment]
    raised: tuple[str, ...] = ()  # by the candidate's code, and not by the reference

    @property
    def missing(self) -> Counter[Moment]:
        """The moments that only the reference has."""
        return self.expected - self.observed

    @property
    def extra(self) -> Counter[Moment]:
        """The moments that only the candidate has."""
        return self.observed - self.expected

    @property
    def first(self) -> Moment:
        """The earliest moment that only one of them has."""
        return min(self.missing | self.extra)

    @property
    def is_missing(self) -> bool:
        """Whether the first difference is something that the candidate does not do."""
        return self.first in self.missing

    @property
    def replaced_by(self) -> Moment | None:
        """What the other side does instead: the same later or earlier, or other at that instant."""
        (when, text), others = self.first, self.extra if self.is_missing else self.missing
        same = [moment for moment in others if moment[1] == text]
        there = [moment for moment in others if moment[0] == when]
        return min(same or there, default=None)


def difference(spec: Sweep, expected: Trace, observed: Trace) -> Difference | None:
    """Return how two traces of one program differ, or None."""
    a, b = spec.story(expected), spec.story(observed)
    return None if a == b else Difference(a, b, tuple(_only(observed.errors, expected.errors)))


def _only(errors: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Yield the errors of types that the others have less often, in their order."""
    surplus = Counter(map(_type, errors)) - Counter(map(_type, others))
    yield from (error for error in errors if _type(error) in surplus)


def _type(error: str) -> str:
    return re.split(r"\W", error, maxsplit=1)[0]


def in_words(spec: Sweep, found: Difference) -> str:
    """Return the first difference in sentences, and what the code raised: it may be the cause."""
    raised = "; ".join(found.raised[:MOST_ERRORS])
    return _first_in_words(spec, found) + (f" The code raised {raised}." if raised else "")


def _first_in_words(spec: Sweep, found: Difference) -> str:
    (instant, text), other = found.first, found.replaced_by
    when = spec.when(instant)
    if other is None:
        verb = "is missing" if found.is_missing else "must not happen"
        return f"{when}: {text}: this {verb}."
    if other[1] == text:
        here, there = (other, found.first) if found.is_missing else (found.first, other)
        return f"{text}: expected {_inside(spec, there)}, observed {_inside(spec, here)}."
    expected, observed = (text, other[1]) if found.is_missing else (other[1], text)
    return f"{when}: expected: {expected}; observed: {observed}."


def _inside(spec: Sweep, moment: Moment) -> str:
    when = spec.when(moment[0])
    return when[0].lower() + when[1:]


def excerpts(spec: Sweep, found: Difference) -> tuple[str, str]:
    """Return what the reference does and what the candidate does, around the first difference."""
    return _excerpt(spec, found, found.expected), _excerpt(spec, found, found.observed)


def _excerpt(spec: Sweep, found: Difference, story: Counter[Moment]) -> str:
    moments = sorted(story.elements())
    place = sum(moment < found.first for moment in moments)
    begin, end = max(0, place - AROUND), place + AROUND + 1
    lines = [f"{spec.when(instant)}: {text}" for instant, text in moments[begin:end]]
    before, after = ["…"] * (begin > 0), ["…"] * (end < len(moments))
    return "\n".join([*before, *(lines or ["nothing happens"]), *after])
