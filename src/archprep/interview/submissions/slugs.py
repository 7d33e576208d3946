"""Names the folders of results: a candidate who was graded before keeps the same one.

Results and marks are found by that name, so it must not pass to someone whose name looks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from archprep.interview.kits import people
from archprep.interview.model import Received
from archprep.interview.submissions.entry import Entry


def assigned(entries: Sequence[Entry], known: Sequence[Received]) -> list[str]:
    """Return the slug of each entry; `known` was received before."""
    found: dict[Path, str] = {}
    left = {one.slug: one for one in known}
    for is_same in (_has_same_bytes, _is_same_kit, _has_same_source):
        for entry in entries:
            if entry.path not in found and (slug := _first(left, entry, is_same)):
                found[entry.path] = slug
                del left[slug]
    new = [entry for entry in entries if entry.path not in found]
    fresh = people.unique_slugs((entry.name for entry in new), found.values())
    found |= {entry.path: slug for entry, slug in zip(new, fresh, strict=True)}
    return [found[entry.path] for entry in entries]


def _first(
    known: dict[str, Received], entry: Entry, is_same: Callable[[Entry, Received], bool]
) -> str | None:
    return next((slug for slug, one in known.items() if is_same(entry, one)), None)


def _has_same_bytes(entry: Entry, known: Received) -> bool:
    digests = {one.digest for one in (entry, *entry.earlier)}
    return known.digest in digests and known.name == entry.name


def _is_same_kit(entry: Entry, known: Received) -> bool:
    return bool(entry.kit_id and known.kit) and entry.kit == known.kit


def _has_same_source(entry: Entry, known: Received) -> bool:
    return known.source == entry.source
