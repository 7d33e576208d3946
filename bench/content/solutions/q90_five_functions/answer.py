"""Five small functions."""


def reverse(text: str) -> str:
    """Return the text backwards."""
    return text[::-1]


def words(text: str) -> int:
    """Return the number of words."""
    return len(text.split())


def total(numbers: list[int]) -> int:
    """Return the sum."""
    return sum(numbers)


def largest(numbers: list[int]) -> int:
    """Return the largest."""
    return max(numbers)


def unique(numbers: list[int]) -> list[int]:
    """Return the distinct numbers in ascending order."""
    return sorted(set(numbers))
