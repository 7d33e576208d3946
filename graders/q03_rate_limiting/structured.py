"""Reads a field as RFC 9651 says: a list of items with parameters, strictly.

No dates, display strings or inner lists: no RateLimit field has such.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Item = tuple[Any, dict[str, Any]]


class Malformed(ValueError):
    """The text is no such list; says where."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word without quotes: no string."""

    text: str


_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_VALUES: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (
        re.compile(r'"(?:[ !#-\[\]-~]|\\["\\])*"'),
        lambda text: re.sub(r'\\(["\\])', r"\1", text[1:-1]),
    ),
    (re.compile(r"-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9])"), float),
    (re.compile(r"-?[0-9]{1,15}(?![0-9.])"), int),
    (re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*"), Token),
    (re.compile(r"\?[01]"), lambda text: text == "?1"),
    (re.compile(r":(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3}={0,2})?:"), str.encode),
]


def parse_list(text: str) -> list[Item]:
    """Return the items of a field, each with its parameters; Malformed if it is no such list."""
    members, left = [], text.strip(" ")
    while left:
        item, left = _item(left)
        members.append(item)
        left = left.lstrip(" \t")
        if left and not left.startswith(","):
            raise Malformed(f"a comma is missing before {left[:30]!r}")
        after = left[1:].lstrip(" \t")
        if left and not after:
            raise Malformed("it ends with a comma")
        left = after
    return members


def _item(text: str) -> tuple[Item, str]:
    value, left = _value(text)
    parameters = {}
    while left.startswith(";"):
        left = left[1:].lstrip(" ")
        key = _KEY.match(left)
        if key is None:
            raise Malformed(f"the name of a parameter is missing before {left[:30]!r}")
        left = left[key.end() :]
        parameters[key[0]], left = _value(left[1:]) if left.startswith("=") else (True, left)
    return (value, parameters), left


def _value(text: str) -> tuple[Any, str]:
    for pattern, convert in _VALUES:
        if found := pattern.match(text):
            return convert(found[0]), text[found.end() :]
    raise Malformed(f"there is no value at {text[:30]!r}")
