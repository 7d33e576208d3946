"""The reference: code that one would show in an interview. Same names as in the starter."""

from __future__ import annotations

from itertools import accumulate
from typing import Protocol


class Source(Protocol):
    """A supplier who hands out items page by page."""

    def page(self, number: int) -> list[str]:
        """The items of a page, from 0 on; none after the last item."""
        ...


def running_totals(amounts: list[int]) -> list[int]:
    """The sum up to and including each amount."""
    return list(accumulate(amounts))


def read_all(source: Source) -> list[str]:
    """The items of all pages in order; each page is asked for once."""
    items: list[str] = []
    number = 0
    while page := source.page(number):
        items += page
        number += 1
    return items
