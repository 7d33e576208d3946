"""Task 1: routed, tried and given up."""

from __future__ import annotations

from archprep.grading import criterion

from .spec import BusSweep


@criterion(
    "Patterns match whole types or prefixes, when processing begins",
    task=1,
    points=3,
    rules=["1.1"],
)
def test_patterns(sweep):
    sweep.kept(BusSweep("1.1"))


@criterion("A name is used once at a time", task=1, points=2, rules=["1.2"])
def test_names(sweep):
    sweep.kept(BusSweep("1.2"))


@criterion("A cancelled handler does not start again", task=1, points=4, rules=["1.3"])
def test_cancel(sweep):
    sweep.kept(BusSweep("1.3"))


@criterion("Handlers run by priority, and failures are isolated", task=1, points=4, rules=["1.4"])
def test_priority(sweep):
    sweep.kept(BusSweep("1.4"))


@criterion("Filters decide just before the first attempt", task=1, points=4, rules=["1.5"])
def test_filters(sweep):
    sweep.kept(BusSweep("1.5"))


@criterion(
    "An attempt fails by an exception, CancelledError or time-out", task=1, points=5, rules=["1.6"]
)
def test_attempts(sweep):
    sweep.kept(BusSweep("1.6"))


@criterion(
    "A failed handler is retried on time, up to max_attempts", task=1, points=4, rules=["1.7"]
)
def test_retries(sweep):
    sweep.kept(BusSweep("1.7"))


@criterion("Dead letters say what failed", task=1, points=2, rules=["1.8"])
def test_letters(sweep):
    sweep.kept(BusSweep("1.8"))


@criterion("The list of dead letters is bounded", task=1, points=2, rules=["1.9"])
def test_limit(sweep):
    sweep.kept(BusSweep("1.9"))


@criterion("Payloads are private", task=1, points=2, rules=["1.10"])
def test_payloads(sweep):
    sweep.kept(BusSweep("1.10"))


@criterion(
    "Nothing else differs from the reference in random programs of task 1",
    task=1,
    points=4,
    rules=["1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10"],
)
def test_sweep_delivery(sweep):
    sweep(BusSweep(), programs=80)
