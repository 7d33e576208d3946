"""Five criteria with a scenario each."""

from __future__ import annotations

from archprep.grading import assert_same, criterion


def texts(rng):
    return [" ".join("".join(rng.choices("abcde", k=5)) for _ in range(4)) for _ in range(20)]


def numbers(rng):
    return [[rng.randrange(100) for _ in range(9)] for _ in range(20)]


def same(candidate, name, inputs, model):
    seen = candidate.observe("call", name=name, arguments=inputs)
    assert_same(seen, [model(value) for value in inputs], says=f"{name} is right")


@criterion("A text is reversed", task=1, points=20, hint="text")
def test_reverse(candidate, rng):
    same(candidate, "reverse", texts(rng), lambda text: text[::-1])


@criterion("Words are counted", task=1, points=20, hint="text")
def test_words(candidate, rng):
    same(candidate, "words", texts(rng), lambda text: len(text.split()))


@criterion("Numbers are added", task=2, points=20, hint="numbers")
def test_total(candidate, rng):
    same(candidate, "total", numbers(rng), sum)


@criterion("The largest is found", task=2, points=20, hint="numbers")
def test_largest(candidate, rng):
    same(candidate, "largest", numbers(rng), max)


@criterion("Distinct numbers are sorted", task=2, points=20, hint="numbers")
def test_unique(candidate, rng):
    same(candidate, "unique", numbers(rng), lambda values: sorted(set(values)))
