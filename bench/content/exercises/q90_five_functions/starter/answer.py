"""Write these functions."""


def reverse(text: str) -> str:
    """Return the text backwards."""
    raise NotImplementedError


def words(text: str) -> int:
    """Return the number of words."""
    raise NotImplementedError


def total(numbers: list[int]) -> int:
    """Return the sum."""
    raise NotImplementedError


def largest(numbers: list[int]) -> int:
    """Return the largest."""
    raise NotImplementedError


def unique(numbers: list[int]) -> list[int]:
    """Return the distinct numbers in ascending order."""
    raise NotImplementedError
