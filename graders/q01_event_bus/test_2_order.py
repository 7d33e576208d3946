"""Task 2: which event is next, and how many at a time."""

from __future__ import annotations

from archprep.grading import criterion

from .spec import BusSweep


@criterion("publish() only queues", task=2, points=2, rules=["2.1"])
def test_publish(sweep):
    sweep.kept(BusSweep("2.1"))


@criterion("All places are used, and no more", task=2, points=3, rules=["2.2"])
def test_places(sweep):
    sweep.kept(BusSweep("2.2"))


@criterion("Events of one key are processed in order", task=2, points=5, rules=["2.3"])
def test_keys(sweep):
    sweep.kept(BusSweep("2.3"))


@criterion("The most urgent event is next", task=2, points=3, rules=["2.4"])
def test_urgent(sweep):
    sweep.kept(BusSweep("2.4"))


@criterion("A full queue refuses or makes publishers wait", task=2, points=3, rules=["2.5"])
def test_full(sweep):
    sweep.kept(BusSweep("2.5"))


@criterion("idle() returns when nothing is left", task=2, points=2, rules=["2.6"])
def test_idle(sweep):
    sweep.kept(BusSweep("2.6"))


@criterion(
    "Nothing else differs from the reference in random programs of task 2",
    task=2,
    points=4,
    rules=["2.1", "2.2", "2.3", "2.4", "2.5", "2.6"],
)
def test_sweep_order(sweep):
    sweep(BusSweep(), programs=60)
