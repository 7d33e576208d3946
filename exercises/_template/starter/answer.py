"""What the candidate starts from: types, docstrings, no behaviour."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """A supplier who hands out items page by page."""

    def page(self, number: int) -> list[str]:
        """The items of a page, from 0 on; none after the last item."""
        ...


def running_totals(amounts: list[int]) -> list[int]:
    """The sum up to and including each amount."""
    raise NotImplementedError("Task 1")


def read_all(source: Source) -> list[str]:
    """The items of all pages in order; each page is asked for once."""
    raise NotImplementedError("Task 2")
