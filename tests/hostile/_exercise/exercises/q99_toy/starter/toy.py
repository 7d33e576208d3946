def weigh(numbers: list[int]) -> int:
    raise NotImplementedError


def fetch(vault, keys: list[str]) -> list[int]:
    raise NotImplementedError
