"""Task 4: what is accepted survives a crash and a shutdown."""

from __future__ import annotations

from archprep.grading import criterion

from .spec import BusSweep


@criterion("An event is appended before it is accepted", task=4, points=2, rules=["4.1"])
def test_append(sweep):
    sweep.kept(BusSweep("4.1"))


@criterion("A success is settled at once", task=4, points=3, rules=["4.2"])
def test_settle(sweep):
    sweep.kept(BusSweep("4.2"))


@criterion("A finished event is closed", task=4, points=2, rules=["4.3"])
def test_close(sweep):
    sweep.kept(BusSweep("4.3"))


@criterion("An event with dead letters stays open", task=4, points=4, rules=["4.4"])
def test_open(sweep):
    sweep.kept(BusSweep("4.4"))


@criterion("start() continues where the journal stands", task=4, points=4, rules=["4.5"])
def test_recovery(sweep):
    sweep.kept(BusSweep("4.5"))


@criterion("stop() accepts nothing more", task=4, points=1, rules=["4.6"])
def test_stop(sweep):
    sweep.kept(BusSweep("4.6"))


@criterion("stop() drains, and then cancels", task=4, points=2, rules=["4.7"])
def test_drain(sweep):
    sweep.kept(BusSweep("4.7"))


@criterion("What stop() cancels is unfinished", task=4, points=1, rules=["4.8"])
def test_unfinished(sweep):
    sweep.kept(BusSweep("4.8"))


@criterion("stop() can be cancelled", task=4, points=1, rules=["4.9"])
def test_stop_cancelled(sweep):
    sweep.kept(BusSweep("4.9"))


@criterion(
    "Nothing else differs from the reference in random programs of task 4",
    task=4,
    points=4,
    rules=["4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9"],
)
def test_sweep_journal(sweep):
    sweep(BusSweep(), programs=100)
