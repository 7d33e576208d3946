"""The criteria of `q90` as anybody would write them with pytest: the baseline of its check."""

import random

import pytest
from answer import largest, reverse, total, unique, words


@pytest.fixture
def rng():
    """Draw the same inputs in each run."""
    return random.Random(1)


def texts(rng):
    """Draw texts of four words."""
    return [" ".join("".join(rng.choices("abcde", k=5)) for _ in range(4)) for _ in range(20)]


def numbers(rng):
    """Draw lists of nine numbers."""
    return [[rng.randrange(100) for _ in range(9)] for _ in range(20)]


def test_reverse(rng):
    """A text is reversed."""
    for text in texts(rng):
        assert reverse(text) == text[::-1]


def test_words(rng):
    """Words are counted."""
    for text in texts(rng):
        assert words(text) == len(text.split())


def test_total(rng):
    """Numbers are added."""
    for values in numbers(rng):
        assert total(values) == sum(values)


def test_largest(rng):
    """The largest is found."""
    for values in numbers(rng):
        assert largest(values) == max(values)


def test_unique(rng):
    """Distinct numbers are sorted."""
    for values in numbers(rng):
        assert unique(values) == sorted(set(values))
