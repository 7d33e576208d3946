"""What happened, and how it is told: the sentences of a failed criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import eq
from typing import Any, NamedTuple


class Moment(NamedTuple):
    """Something at an instant; `about` is the id of its event."""

    at: float
    text: str
    about: str


def start(at: float, name: str, event_id: str, attempt: int = 1) -> Moment:
    return Moment(at, f"{name} starts attempt {attempt} on {event_id}", event_id)


def done(at: float, what: str, outcome: str = "ok", about: str = "") -> Moment:
    return Moment(at, f"{what} returns" if outcome == "ok" else f"{what} raises {outcome}", about)


def written(at: float, name: str, event_id: str) -> Moment:
    """A call of the journal; `name` is append, close or "settle audit"."""
    verb, _, handler = name.partition(" ")
    return Moment(at, f"journal.{verb}({event_id}{', ' + handler if handler else ''})", event_id)


def tell_difference(first: Moment, extra: Counter[Moment], missing: Counter[Moment]) -> str:
    """Where two stories part, in words; `first` is the earliest moment that is in one only."""
    if first not in missing:
        due = [m.at for m in sorted(missing) if m.text == first.text]
        if due:
            return f"{first.text} at {first.at:g} s, too early: it is due at {due[0]:g} s."
        return f"At {first.at:g} s: {first.text}, and that must not happen."
    late = [m.at for m in sorted(extra) if m.text == first.text]
    instead = [m.text for m in sorted(extra) if m.at == first.at]
    told = f"{first.text} at {late[0]:g} s, not at {first.at:g} s" if late else ""
    told = told or f"Missing at {first.at:g} s: {first.text}"
    return f"{told}; instead: {instead[0]}." if instead else f"{told}."


def tell_script(script: Sequence[Sequence[Any]]) -> str:
    if not script:
        return "returns at once"
    return ", ".join(_tell(*part) for part in script)


def _tell(verb: str, *args: Any) -> str:
    return {
        "sleep": "takes {0:g} s",
        "stubborn": "takes {0:g} s; if cancelled, it goes on for {1:g} s",
        "raise": "raises {0}({1!r})",
        "cancelled": "raises CancelledError by itself",
        "mutate": "changes the payload",
        "answer": "answers {0}",
        "change": "passes on a copy with payload {0}",
        "next": "awaits next(event)",
    }[verb].format(*args)


def tell_letters(
    fields: Sequence[str], lost: Sequence[Sequence[Any]], odd: Sequence[Sequence[Any]]
) -> str:
    """Where two lists of dead letters part: one that lacks, one too many, or one with a fault."""
    if not lost:
        return f"Not due: {_tell_letter(fields, odd[0])}."
    missing = f"Missing: {_tell_letter(fields, lost[0])}."
    if not odd:
        return missing
    other = max(odd, key=lambda letter: sum(map(eq, letter, lost[0])))
    faults = [
        f"{name} is {there!r}, not {due!r}"
        for name, there, due in zip(fields, other, lost[0], strict=True)
        if there != due
    ]
    if "id" in fields and other[0] == lost[0][0]:
        return f"In the dead letter of {other[0]}, {'; '.join(faults)}."
    return f"{missing} Instead: {_tell_letter(fields, other)}."


def _tell_letter(fields: Sequence[str], values: Sequence[Any]) -> str:
    parts = [f"{name} {value!r}" for name, value in zip(fields, values, strict=True)]
    return ", ".join(parts)
