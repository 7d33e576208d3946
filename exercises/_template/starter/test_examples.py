"""Public examples: `pytest` runs them. The hidden criteria ask for more."""

from __future__ import annotations

from answer import read_all, running_totals


class ThreePages:
    """A source for trying things."""

    def page(self, number: int) -> list[str]:
        """Two pages with items and an empty one."""
        return [["pen", "ink"], ["paper"], []][number]


def test_each_total_includes_its_amount() -> None:
    """Sums include the amount they stand beside."""
    assert running_totals([5, -2, 10]) == [5, 3, 13]


def test_all_pages_are_read() -> None:
    """Reading goes on until a page is empty."""
    assert read_all(ThreePages()) == ["pen", "ink", "paper"]
