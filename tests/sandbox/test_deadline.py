"""A deadline counts the time for which a scenario could have run. Times here are made up."""

import time

import pytest

from archprep.sandbox import deadline
from archprep.sandbox.deadline import CORES, HARD_FACTOR, Deadline
from archprep.sandbox.processes import RunTime, run_times


class Clock:
    """A clock that moves by hand, and run times to go with it."""

    def __init__(self):
        self.now = 100.0
        self.threads = {}

    def pass_(self, wall, ran=0.0, waited=0.0, tid=1):
        self.now += wall
        before = self.threads.get(tid, RunTime(0, 0))
        self.threads[tid] = RunTime(before.ran + ran, before.waited + waited)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.pass_(0, ran=50.0, waited=70.0)  # before the deadline begins
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    monkeypatch.setattr(deadline, "is_measured", lambda: True)
    monkeypatch.setattr(
        deadline.processes, "run_times", lambda pids: dict(clock.threads) if 0 in pids else {}
    )
    return clock


def begun(seconds):
    limit = Deadline(seconds)
    limit.sample([0])
    return limit


def test_waiting_for_a_processor_does_not_count(clock):
    """A process that got a quarter of a processor has used a quarter of the time."""
    limit = begun(1.0)
    for _ in range(39):
        clock.pass_(0.1, ran=0.025, waited=0.075)
        limit.sample([0])
    assert limit.elapsed() == pytest.approx(0.975)
    assert not limit.has_passed()
    clock.pass_(0.2, ran=0.05, waited=0.15)
    limit.sample([0])
    assert limit.has_passed()


def test_sleeping_counts(clock):
    """Time in which nothing wanted to run is the scenario's own."""
    limit = begun(1.0)
    clock.pass_(1.0)
    limit.sample([0])
    assert limit.has_passed()


def test_waiting_for_ones_own_threads_counts(clock):
    """While its processes use all processors there are, time counts in full."""
    limit = begun(1.0)
    for tid in range(2 * CORES):
        clock.pass_(0, ran=0.5, waited=0.5, tid=tid)
    clock.now += 1.0
    limit.sample([0])
    assert limit.elapsed() == pytest.approx(1.0)


def test_a_thread_that_runs_all_the_time_uses_it_all(clock, monkeypatch):
    """While the judge waits for a processor, a busy loop that has one is counted in full."""
    limit = begun(1.0)
    own = {9: RunTime(0.0, 0.0)}
    monkeypatch.setattr(
        deadline.processes, "run_times", lambda pids: dict(clock.threads) if 0 in pids else own
    )
    limit.sample([0])
    own = {9: RunTime(0.0, 1.0)}
    clock.pass_(1.0, ran=1.0)
    limit.sample([0])
    assert limit.has_passed()


def test_the_judges_work_does_not_count(clock):
    """Time in which the judge answers a call is not the scenario's."""
    limit = begun(1.0)
    with limit.paused():
        clock.pass_(5.0)
    clock.pass_(0.5)
    assert limit.elapsed() == pytest.approx(min(0.5, 2 * deadline.SAMPLE_SECONDS))
    limit.sample([0])
    assert limit.elapsed() == pytest.approx(0.5)


def test_time_that_was_not_sampled_does_not_pass(clock):
    """If the judge itself gets no processor, nothing is lost until it has looked."""
    limit = begun(1.0)
    clock.pass_(10.0)
    assert limit.elapsed() == pytest.approx(2 * deadline.SAMPLE_SECONDS)


def test_wall_time_has_a_limit_as_well(clock):
    """However little a scenario could run, it ends."""
    limit = begun(1.0)
    for _ in range(HARD_FACTOR * 10 - 1):
        clock.pass_(0.1, waited=0.1)
        limit.sample([0])
    assert not limit.has_passed()
    clock.pass_(0.2, waited=0.2)
    limit.sample([0])
    assert limit.has_passed()


def test_without_run_times_wall_time_counts(clock, monkeypatch):
    """Where the kernel does not tell how long a process has waited, all time counts."""
    monkeypatch.setattr(deadline, "is_measured", lambda: False)
    limit = begun(1.0)
    clock.pass_(1.0)
    assert limit.has_passed()


def test_restart(clock):
    """An import has a time of its own; the probe starts anew."""
    limit = begun(1.0)
    clock.pass_(0.9)
    limit.sample([0])
    limit.restart(2.0)
    clock.pass_(1.9)
    limit.sample([0])
    assert not limit.has_passed()


@pytest.mark.skipif(not deadline.is_measured(), reason="needs schedstat")
def test_run_times_are_the_kernels():
    """A thread that works has run for about as long as its processor time says."""
    import os

    def own():
        return run_times([os.getpid()])[os.getpid()].ran

    before, until = own(), time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    assert own() - before > 0.04
