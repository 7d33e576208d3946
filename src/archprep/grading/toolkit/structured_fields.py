"""Structured fields of HTTP (RFC 9651) as plain lists: `[["minute", {"r": 0, "t": 12}]]`."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import http_sf


def parse_list(text: str, parameters: Collection[str] | None = None) -> list[Any]:
    """Return the members of a field, each as a list of its value and its parameters.

    Only the `parameters` named are kept. A token stays an `http_sf.Token`, which is not a string.
    ValueError if the text is not a list of RFC 9651; it says where.
    """
    members: Any = http_sf.parse(text.encode("latin-1"), tltype="list")
    return [_plain(member, parameters) for member in members]


def as_text(members: list[Any]) -> str:
    """Members as they are written in a field."""
    return http_sf.ser([(value, parameters) for value, parameters in members])


def _plain(member: Any, wanted: Collection[str] | None) -> list[Any]:
    value, parameters = member
    if isinstance(value, list):
        value = [_plain(item, wanted) for item in value]
    kept = {key: _number(p) for key, p in parameters.items() if wanted is None or key in wanted}
    return [_number(value), kept]


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
