"""Task 3: nothing is done twice, and what failed can be done again."""

from __future__ import annotations

from archprep.grading import criterion

from .spec import BusSweep


@criterion("An id in the bus is not accepted again", task=3, points=2, rules=["3.1"])
def test_duplicates(sweep):
    sweep.kept(BusSweep("3.1"))


@criterion("What has succeeded is skipped until dedup_ttl is over", task=3, points=3, rules=["3.2"])
def test_skipped(sweep):
    sweep.kept(BusSweep("3.2"))


@criterion("A failure does not use up the id", task=3, points=2, rules=["3.3"])
def test_failed(sweep):
    sweep.kept(BusSweep("3.3"))


@criterion("replay() does again what failed, and only that", task=3, points=4, rules=["3.4"])
def test_replay(sweep):
    sweep.kept(BusSweep("3.4"))


@criterion(
    "A failed replay and a wrong index leave their letter", task=3, points=2, rules=["3.5", "3.7"]
)
def test_again(sweep):
    sweep.kept(BusSweep("3.5"))


@criterion("A replay needs no place", task=3, points=2, rules=["3.6"])
def test_outside(sweep):
    sweep.kept(BusSweep("3.6"))


@criterion(
    "Nothing else differs from the reference in random programs of task 3",
    task=3,
    points=3,
    rules=["3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7"],
)
def test_sweep_replay(sweep):
    sweep(BusSweep(), programs=60)
