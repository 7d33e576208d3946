"""The reference: code to show in an interview, with the same names as in the starter."""

from __future__ import annotations

from itertools import accumulate
from typing import Protocol


class Source(Protocol):
    """A supplier that returns items page by page."""

    def page(self, number: int) -> list[str]:
        """Return the items of a page, counted from 0; empty after the last item."""
        ...


def running_totals(amounts: list[int]) -> list[int]:
    """Return, for each amount, the sum up to and including it."""
    return list(accumulate(amounts))


def read_all(source: Source) -> list[str]:
    """Return the items of all pages in order, requesting each page once."""
    items: list[str] = []
    number = 0
    while page := source.page(number):
        items += page
        number += 1
    return items
