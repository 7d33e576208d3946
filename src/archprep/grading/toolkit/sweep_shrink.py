"""Shrinks a program on which two answers differ, knowing only that it is JSON data.

Delta debugging: each pass proposes smaller programs, the boldest first; a batch of them is played
at once, and the first that still differs is kept. Nothing is random, and the weight of what is
kept strictly falls, so that the same program always shrinks to the same program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from archprep.grading.toolkit.sweep_spec import Program, Sweep

BATCH = 16  # programs played at once
TRIES = 160  # programs played at most, whatever the clock says

# Return the index of the first program that still differs, or None.
StillDiffers = Callable[[Sequence[Program]], "int | None"]
Propose = Callable[[Program], Iterable[Program]]
Path = tuple[Any, ...]
Weight = tuple[int, int, float]


def shrink(
    spec: Sweep, program: Program, still_differs: StillDiffers, tries: int = TRIES
) -> tuple[Program, int]:
    """Return the smallest program found, and how many were tried."""
    shrinking = _Shrinking(spec, still_differs, tries)
    plainer = partial(_plainer, plainer=spec.plainer)
    before = None
    while program != before:
        before = program
        for propose in (_without_names, _fewer_items, _fewer_entries, spec.shrinks, plainer):
            program = shrinking.keep_first(program, propose)
    return program, tries - shrinking.left


class _Shrinking:
    def __init__(self, spec: Sweep, still_differs: StillDiffers, tries: int) -> None:
        self._spec = spec
        self._still_differs = still_differs
        self._refused: set[str] = set()
        self.left = tries

    def keep_first(self, program: Program, propose: Propose) -> Program:
        """Replace the program by the first proposal that differs, until none does."""
        start = 0  # what was refused stays refused for the rest of the pass
        while (hit := self._first(program, propose, start)) is not None:
            program, start = hit
        return program

    def _first(self, program: Program, propose: Propose, start: int) -> tuple[Program, int] | None:
        smaller = list(self._lighter(program, propose))
        for i in range(start, len(smaller), BATCH):
            batch = smaller[i : i + min(BATCH, self.left)]
            hit = self._still_differs(batch) if batch else None
            self.left -= len(batch) if hit is None else hit + 1
            self._refused.update(map(json.dumps, batch[:hit]))
            if hit is not None:
                return batch[hit], i + hit
        return None

    def _lighter(self, program: Program, propose: Propose) -> Iterator[Program]:
        """Yield the proposals that weigh less, are valid and were not refused before."""
        heavy, known = weight(program, self._spec.plainer), set(self._refused)
        for proposal in propose(program):
            key = json.dumps(proposal)
            if key not in known and weight(proposal, self._spec.plainer) < heavy:
                known.add(key)
                if self._is_valid(proposal):
                    yield proposal

    def _is_valid(self, proposal: Program) -> bool:
        """Return whether a proposal still has what `valid` looks at, and is valid."""
        try:
            return self._spec.valid(proposal)
        except (LookupError, TypeError, ValueError, AttributeError):
            return False


def weight(value: Any, plainer: Any, key: Any = None) -> Weight:
    """Return how much there is, how odd its values are, and how large its numbers."""
    if isinstance(value, dict):
        parts = [weight(item, plainer, name) for name, item in value.items()]
    elif isinstance(value, list):
        parts = [weight(item, plainer, key) for item in value]
    else:
        return 0, *_oddity(value, plainer.get(key, ()))
    count, odd, size = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0, 0)
    return int(len(value) + count), int(odd), size


def _oddity(value: Any, plain: Sequence[Any]) -> tuple[int, float]:
    if any(value == other and type(value) is type(other) for other in plain):
        return plain.index(value), 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return len(plain), 0.0
    return len(plain) + (value != int(value)) + (2 * value != int(2 * value)), abs(value)


# -- proposals ------------------------------------------------------------------------------


def _without_names(program: Program) -> Iterator[Program]:
    """Drop whatever mentions a name: a word that is a key somewhere and is used elsewhere."""
    keys, values = set[str](), set[str]()
    for _, value in _walk(program):
        if isinstance(value, dict):
            keys |= {word for key in value for word in key.split(" ")}
        elif isinstance(value, str):
            values.add(value)
    for name in sorted(keys & values):
        yield _without(program, name)


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {k: _without(v, name) for k, v in value.items() if name not in k.split(" ")}
    if isinstance(value, list):
        return [_without(item, name) for item in value if not _mentions(item, name)]
    return value


def _mentions(item: Any, name: str) -> bool:
    if isinstance(item, dict | list):
        return name in (item.values() if isinstance(item, dict) else item)
    return bool(item == name)


def _fewer_items(program: Program) -> Iterator[Program]:
    """Drop half of a list, a quarter, …, one item; the long lists first."""
    lists = [(path, value) for path, value in _walk(program) if isinstance(value, list)]
    for path, items in sorted(lists, key=lambda found: -len(found[1])):
        size = max(1, len(items) // 2)
        while size:
            for i in range(0, len(items), size):
                yield _edited(program, path, items[:i] + items[i + size :])
            size //= 2


def _fewer_entries(program: Program) -> Iterator[Program]:
    for path, value in _walk(program):
        if isinstance(value, dict):
            for key in value:
                yield _edited(program, path, {k: v for k, v in value.items() if k != key})


def _plainer(program: Program, plainer: Any) -> Iterator[Program]:
    for path, value in _walk(program):
        if isinstance(value, dict | list):
            continue
        key = next((step for step in reversed(path) if isinstance(step, str)), None)
        others = [*plainer.get(key, ())]
        if isinstance(value, int | float) and not isinstance(value, bool):
            others += _rounder(value)
        for other in others:
            if other != value:
                yield _edited(program, path, other)


def _rounder(number: float) -> list[float]:
    """Return numbers of the same type that are easier to read."""
    kind = type(number)
    rounds = [0, 1, int(number), round(number), int(number) + 1, int(2 * number) / 2]
    return list(dict.fromkeys(kind(other) for other in rounds))


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(item, (*path, step))


def _edited(value: Any, path: Path, new: Any) -> Any:
    """Return plain data with another value at a path; what lies elsewhere is shared."""
    if not path:
        return new
    step, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = _edited(value[step], tuple(rest), new)
    return copy
