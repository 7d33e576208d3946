"""Calls are held back until all are there, and go in the order that the judge likes."""

from __future__ import annotations

import threading
import time

from archprep.grading.toolkit.barrier import Barrier
from archprep.sandbox.fakes import HeldReply


class Calls:
    """Calls of a fake, and what they were answered with, in order."""

    def __init__(self, barrier):
        self.barrier, self.answers = barrier, []

    def call(self, value):
        answer = self.barrier.arrive(value)
        if isinstance(answer, HeldReply):
            answer.send_with(self.answers.append)
        else:
            self.answers.append(answer)


def test_calls_wait_until_they_are_released_in_a_chosen_order():
    """The order of arrival decides nothing."""
    calls = Calls(Barrier(3))
    for name in "abc":
        calls.call(name)
    assert calls.answers == []
    assert calls.barrier.wait() == 3
    calls.barrier.release([2, 0, 1])
    assert calls.answers == ["c", "a", "b"]


def test_a_closed_barrier_stays_closed_until_it_is_opened():
    """Those who come after a release wait as well."""
    calls = Calls(Barrier(1))
    calls.call("a")
    calls.barrier.release()
    calls.call("b")
    assert (calls.answers, calls.barrier.waiting) == (["a"], 1)
    calls.barrier.open()
    calls.call("c")
    assert (calls.answers, calls.barrier.waiting) == (["a", "b", "c"], 0)
    calls.barrier.close(2)
    calls.call("d")
    assert (calls.barrier.waiting, calls.barrier.is_full()) == (1, False)


def test_some_may_be_released_and_others_not():
    """What is not named goes on waiting, and is counted anew."""
    calls = Calls(Barrier(2))
    for name in "abc":
        calls.call(name)
    calls.barrier.release([1])
    calls.barrier.release([1])
    assert calls.answers == ["b", "c"]
    assert calls.barrier.waiting == 1


def test_the_judge_waits_at_most_until_its_deadline():
    """Calls that never come cost no more than that."""
    barrier = Barrier(2)
    barrier.arrive("a")
    began = time.monotonic()
    assert barrier.wait(0.05) == 1
    assert time.monotonic() - began < 2


def test_the_judge_wakes_up_when_the_last_one_has_come():
    """No clock decides."""
    barrier = Barrier(2)
    threads = [threading.Thread(target=barrier.arrive) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert barrier.wait(10) == 2
    for thread in threads:
        thread.join()


def test_one_that_opens_itself_needs_no_judge():
    """The last call lets all of them go, and whoever comes later passes."""
    calls = Calls(Barrier(2, opens_itself=True))
    calls.call("a")
    assert calls.answers == []
    calls.call("b")
    calls.call("c")
    assert sorted(calls.answers) == ["a", "b", "c"]
