"""Planned faults happen to the calls they are planned for, and to no other."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from archprep.grading.toolkit.barrier import Barrier
from archprep.grading.toolkit.draw import Draw
from archprep.grading.toolkit.fault_plan import FaultPlan, Kind
from archprep.sandbox.fakes import HeldReply, Refuse, exposed, fake


class Gateway:
    """A fake as an author writes it."""

    def __init__(self, faults):
        self.faults, self.charged = faults, []

    @exposed
    def charge(self, order: str) -> Any:
        return self.faults.reply("charge", lambda: self._charge(order), about=order)

    def _charge(self, order):
        self.charged.append(order)
        return f"receipt of {order}"


def outcomes(gateway, *orders):
    found = []
    for order in orders:
        try:
            found.append(fake(gateway).methods["charge"].call(gateway, [order], {}))
        except Refuse as e:
            found.append(str(e))
    return found


def test_a_refused_call_has_no_effect_and_a_lost_one_has():
    """What the caller sees is the same; what has happened is not."""
    gateway = Gateway(FaultPlan().refuse("charge", 1, text="no").lose("charge", 3, text="lost"))
    assert outcomes(gateway, "a", "a", "b") == ["no", "receipt of a", "lost"]
    assert gateway.charged == ["a", "b"]


def test_faults_of_one_thing_are_counted_by_themselves():
    """The second call for b fails, however many there were for a."""
    gateway = Gateway(FaultPlan().refuse("charge", 2, text="no", about="b"))
    assert outcomes(gateway, "a", "a", "b", "b", "b")[2:] == ["receipt of b", "no", "receipt of b"]


def test_a_held_call_waits_at_its_barrier():
    """The judge decides when it is answered."""
    barrier = Barrier()
    gateway = Gateway(FaultPlan().hold("charge", 1, barrier=barrier))
    (held,) = outcomes(gateway, "a")
    assert isinstance(held, HeldReply)
    assert barrier.is_full()


def test_a_delayed_call_is_answered_later():
    """By a thread of the judge's, so that nobody waits for it."""
    gateway = Gateway(FaultPlan().delay("charge", 1, seconds=0.01))
    (held,) = outcomes(gateway, "a")
    answered = threading.Event()
    held.send_with(lambda value: value == "receipt of a" and answered.set())
    assert answered.wait(10)


def test_the_log_and_the_words():
    """A failure can say what was planned and what was called."""
    faults = FaultPlan().refuse("charge", 2, 3, text="no", about="a").delay("void", 1, seconds=0.5)
    outcomes(Gateway(faults), "a", "b", "a")
    assert [(p.about, p.number, p.fault is None) for p in faults.log] == [
        ("a", 1, True),
        ("b", 2, True),
        ("a", 3, False),
    ]
    assert (faults.count("charge"), faults.count("charge", "a"), faults.count("void")) == (3, 2, 0)
    assert str(faults) == (
        "calls 2 and 3 of charge for a: refused (no); call 1 of void: delayed by 0.5 s"
    )
    assert str(FaultPlan()) == "nothing fails"


@pytest.mark.parametrize("seed", range(20))
def test_drawn_faults_stay_within_their_bounds(seed):
    """Each is one of the kinds asked for, in calls that will be made."""
    plan = FaultPlan.drawn(
        Draw(random.Random(seed)), ["charge", "void"], kinds=[Kind.LOST], within=4
    )
    assert len(plan.faults) == 3
    for fault in plan.faults:
        assert fault.kind is Kind.LOST
        assert fault.method in {"charge", "void"}
        assert 1 <= fault.calls[0] <= 4
        assert len(fault.calls) <= 2
