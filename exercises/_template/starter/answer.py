"""The candidate's starting point: types and docstrings, no behaviour."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """A supplier that returns items page by page."""

    def page(self, number: int) -> list[str]:
        """Return the items of a page, counted from 0; empty after the last item."""
        ...


def running_totals(amounts: list[int]) -> list[int]:
    """Return, for each amount, the sum up to and including it."""
    raise NotImplementedError("Task 1")


def read_all(source: Source) -> list[str]:
    """Return the items of all pages in order, requesting each page once."""
    raise NotImplementedError("Task 2")
