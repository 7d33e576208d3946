"""Candidates' names: checked, and turned into names of files."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.kits.manifest import MAX_NAME

_MAX_SLUG = 60
# Letters that a reader takes for the ones below them: Cyrillic, Greek, Latin.
_LOOK_ALIKES = str.maketrans(
    "авеһіјкмноԛрсѕтухԝԁӏαβγεζηικμνορτυχl1|0ı",  # noqa: RUF001 - what this is about
    "abehijkmhoqpcstyxwdiabyezhikmvoptyxiiioi",
)


def checked(names: Sequence[str]) -> list[str]:
    """Return the names with tidy spaces; UsageError if one is invalid or appears twice."""
    tidy = [_checked(name) for name in names]
    if twice := repeated(name.casefold() for name in tidy):
        listed = [name for name in dict.fromkeys(tidy) if name.casefold() in twice]
        raise UsageError(
            f"Named more than once: {', '.join(listed[:10])}.",
            tip="Nothing was written. Make the names unique.",
        )
    return tidy


def repeated(values: Iterable[str]) -> list[str]:
    """Return the values that appear more than once, each once."""
    return [value for value, count in Counter(values).items() if count > 1]


def slug(name: str) -> str:
    """Return a name for files: lowercase ASCII letters, digits and "-".

    Names in other scripts are transliterated.
    """
    from anyascii import anyascii

    found = re.sub(r"[^a-z0-9]+", "-", anyascii(name).lower())[:_MAX_SLUG].strip("-")
    return found or "candidate"


def appearance(name: str) -> str:
    """Return what names have in common that a reader may take for one another.

    Case, accents, spaces, invisible characters and the letters of another alphabet do not count.
    """
    plain = unicodedata.normalize("NFKD", sanitize(name).casefold()).translate(_LOOK_ALIKES)
    return "".join(c for c in plain if not c.isspace() and not unicodedata.combining(c))


def unique_slugs(names: Iterable[str], taken: Iterable[str] = ()) -> Iterator[str]:
    """Yield a slug for each name; a number is added where two would be the same, or one `taken`."""
    taken = set(taken)
    for name in names:
        stem = found = slug(name)
        number = 1
        while found in taken:
            number += 1
            found = f"{stem}-{number}"
        taken.add(found)
        yield found


def _checked(name: str) -> str:
    tidy = re.sub(r"[ \xa0]+", " ", unicodedata.normalize("NFC", name)).strip()
    if not tidy:
        raise UsageError("A candidate has no name.", tip="Nothing was written. Add the name.")
    if tidy != sanitize(tidy) or not tidy.isprintable() or len(tidy) > MAX_NAME:
        raise UsageError(
            f"{sanitize(tidy, 40)!r} cannot be a candidate's name.",
            tip=f"Nothing was written. A name is one line of up to {MAX_NAME} printable "
            "characters.",
        )
    return tidy
