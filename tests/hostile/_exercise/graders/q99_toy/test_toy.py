"""Four criteria in two tasks, each with one scenario; the tasks are independent."""

import os

from archprep.grading import Refuse, assert_same, criterion, exposed, fake, scenario

CANARY = os.environ.get("ARCHPREP_TEST_CANARY", "canary-in-the-judge")
BATCHES = 24


class Vault:
    """A fake with secret values, which records the calls it receives."""

    def __init__(self, rng):
        self.values = {f"key{n}": rng.randrange(10**9) for n in range(20)}
        self.asked = []
        self._master = CANARY

    @exposed
    def get(self, key: str):
        if key not in self.values:
            raise Refuse(f"there is no {key}")
        self.asked.append(key)
        return self.values[key]


@scenario
def weighed(candidate, rng):
    batches = [[rng.randrange(10**6) for _ in range(5)] for _ in range(BATCHES)]
    for numbers in rng.sample(batches, BATCHES // 2):
        numbers[rng.randrange(5)] *= -1
        numbers[0] -= 10**6
    return batches, candidate.observe("weigh", batches=batches, returns=list[int | str])


@scenario
def fetched(candidate, rng):
    vault = Vault(rng)
    keys = rng.choices(list(vault.values), k=40)
    return vault, keys, candidate.observe("fetch", vault=fake(vault), keys=keys, returns=list[int])


def model(numbers):
    return "refused" if min(numbers) < 0 else sum(n * n for n in numbers)


@criterion("Weighs by squares", task=1, points=30, hint="weigh")
def test_weighs(weighed):
    batches, seen = weighed
    valid = [n for n, numbers in enumerate(batches) if min(numbers) >= 0]
    assert_same(
        [seen[n] for n in valid if n < len(seen)],
        [model(batches[n]) for n in valid],
        says="the sum of the squares comes back",
    )


@criterion("Refuses negative numbers, and no others", task=1, points=20, hint="weigh")
def test_refuses_negatives(weighed):
    batches, seen = weighed
    assert_same(
        [s == "refused" for s in seen],
        [model(numbers) == "refused" for numbers in batches],
        says="ValueError for exactly the batches with a negative number",
    )


@criterion("Returns what the vault holds", task=2, points=30, hint="fetch")
def test_fetches(fetched):
    vault, keys, seen = fetched
    assert_same(seen, [vault.values[key] for key in keys], says="each key's value, in order")


@criterion("Asks the vault once for each key", task=2, points=20, hint="fetch")
def test_asks_once(fetched):
    vault, keys, _ = fetched
    assert_same(sorted(vault.asked), sorted(set(keys)), says="each key is asked for once")
