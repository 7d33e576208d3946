def weigh(numbers: list[int]) -> int:
    if any(n < 0 for n in numbers):
        raise ValueError("a negative number")
    return sum(n * n for n in numbers)


def fetch(vault, keys: list[str]) -> list[int]:
    known = {key: vault.get(key) for key in dict.fromkeys(keys)}
    return [known[key] for key in keys]
