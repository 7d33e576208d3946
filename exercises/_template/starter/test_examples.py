"""Public examples; run them with `pytest`. The hidden criteria test more."""

from __future__ import annotations

from answer import read_all, running_totals


class ThreePages:
    """A source to experiment with."""

    def page(self, number: int) -> list[str]:
        """Return one of two pages with items, or an empty one."""
        return [["pen", "ink"], ["paper"], []][number]


def test_each_total_includes_its_amount() -> None:
    """Each sum includes its own amount."""
    assert running_totals([5, -2, 10]) == [5, 3, 13]


def test_all_pages_are_read() -> None:
    """Reading continues until a page is empty."""
    assert read_all(ThreePages()) == ["pen", "ink", "paper"]
