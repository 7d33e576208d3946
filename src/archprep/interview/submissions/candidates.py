"""Which submissions are by the same person, and which only look as if they were.

A candidate is a signed kit, not a name: names can be alike, and a manifest can be copied. An
earlier submission is replaced only by what its sender's machine reports as a later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence

from archprep.interview.kits import people
from archprep.interview.submissions.entry import Entry
from archprep.interview.submissions.reported_times import CLOCK_SKEW

# What `archprep submit`, browsers and mail programs add to a name: "-submission-2", " (1)".
_COUNTED = re.compile(r"([ _-]*submission)?([ _-]+\d+| *\(\d+\))?$")


def last_of_each(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entry that counts for each candidate, by source, with its flags.

    It lists the entries that it replaces.
    """
    found = [_last(group) for group in _grouped(entries, _person)]
    for group in _grouped(found, lambda entry: entry.kit_id or entry.path):
        _flag(group, "same kit as {}: compare who sent which", lambda *_: True)
    for group in _grouped(found, _appearance):
        _flag(group, "same or similar name as {}", _differ_in_kit)
    return sorted(found, key=lambda entry: entry.source)


def _person(entry: Entry) -> Hashable:
    """What only submissions by the same person have in common."""
    if entry.problem or not entry.kit_id:
        return entry.path
    if entry.submitted is None:
        return entry.kit_id, entry.digest  # of the same bytes, one copy is enough
    # Someone else's copy of a manifest was begun at another time.
    return entry.kit_id, entry.reported.get("begun_at") or _COUNTED.sub("", entry.stem)


def _appearance(entry: Entry) -> Hashable:
    return entry.path if entry.is_unrelated else people.appearance(entry.name)


def _last(group: Sequence[Entry]) -> Entry:
    *earlier, last = sorted(group, key=lambda entry: (entry.submitted or entry.at, *entry.order))
    last.earlier = earlier
    if any(entry.at > last.at + CLOCK_SKEW for entry in earlier):
        last.flags.append(
            "submitted last (reported by the candidate), but received before what it replaces"
        )
    return last


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Hashable]) -> list[list[Entry]]:
    groups: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return list(groups.values())


def _differ_in_kit(one: Entry, other: Entry) -> bool:
    return not one.kit_id or one.kit_id != other.kit_id


def _flag(group: Sequence[Entry], text: str, related: Callable[[Entry, Entry], bool]) -> None:
    """Flag each entry with those it is related to; they are named instead of the {}."""
    for entry in group:
        others = [o.source for o in group if o is not entry and related(entry, o)]
        more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
        if others:
            entry.flags.append(text.format(", ".join(others[:3]) + more))
