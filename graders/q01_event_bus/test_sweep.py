"""All tasks: nothing else differs from the reference in random programs."""

from __future__ import annotations

from archprep.grading import criterion

from .sweep_spec import BusSweep


@criterion(
    "Nothing else differs from the reference in random programs of task 1",
    task=1,
    points=4,
    hint="sweep",
)
def test_sweep_routing(sweep):
    sweep(BusSweep(), programs=50)


@criterion(
    "Nothing else differs from the reference in random programs of task 2",
    task=2,
    points=5,
    hint="sweep",
)
def test_sweep_failure(sweep):
    sweep(BusSweep(), programs=80)


@criterion(
    "Nothing else differs from the reference in random programs of task 3",
    task=3,
    points=3,
    hint="sweep",
)
def test_sweep_scheduling(sweep):
    sweep(BusSweep(), programs=50)


@criterion(
    "Nothing else differs from the reference in random programs of task 4",
    task=4,
    points=3,
    hint="sweep",
)
def test_sweep_durability(sweep):
    sweep(BusSweep(), programs=100)
