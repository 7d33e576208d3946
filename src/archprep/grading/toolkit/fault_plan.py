"""Plans which calls of a judge-side fake go wrong, and how: drawn or given, with a log.

    faults = FaultPlan().refuse("charge", 2, 3, text="503 from upstream").lose("charge", 5)

    @exposed
    def charge(self, order: str, amount: int) -> Any:
        return faults.reply("charge", lambda: self._charge(order, amount), about=order)

The third call of `charge` is refused as well, and the fifth one takes effect but fails.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Self

from archprep.grading.toolkit.barrier import Barrier
from archprep.grading.toolkit.draw import Draw
from archprep.sandbox.fakes import HeldReply, Refuse

REFUSALS = ("503 from upstream", "connection reset by peer", "row 7 is locked", "try again later")


class Kind(Enum):
    """What goes wrong with a call; the values are what sentences say."""

    REFUSED = "refused"
    LOST = "carried out, but the reply is lost"
    HELD = "held back"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with some calls of a method, optionally only those about one thing."""

    method: str
    calls: tuple[int, ...]  # counted from 1; with `about`, among the calls about it
    kind: Kind
    about: str | None = None
    text: str = ""  # of the refusal
    seconds: float = 0.0  # of the delay
    barrier: Barrier | None = None

    def __str__(self) -> str:
        calls = " and ".join(map(str, self.calls))
        about = f" for {self.about}" if self.about else ""
        how = f" by {self.seconds:g} s" if self.seconds else f" ({self.text})" if self.text else ""
        which = f"call{'s' * (len(self.calls) > 1)} {calls} of {self.method}{about}"
        return f"{which}: {self.kind.value}{how}"


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call that went through the plan, and its fault."""

    method: str
    about: str | None
    number: int  # among the calls of this method
    fault: Fault | None


@dataclass
class FaultPlan:
    """Faults by method and call. One plan may serve several fakes."""

    faults: list[Fault] = field(default_factory=list)
    log: list[LoggedCall] = field(default_factory=list)
    _counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    @classmethod
    def drawn(
        cls,
        draw: Draw,
        methods: Sequence[str],
        *,
        kinds: Collection[Kind] = (Kind.REFUSED, Kind.LOST),
        faults: int = 3,
        within: int = 6,
        in_a_row: int = 2,
    ) -> FaultPlan:
        """Draw `faults` faults within the first calls of `methods`, up to `in_a_row` calls each."""
        plan, rng = cls(), draw.rng
        places = [(method, number) for method in methods for number in range(1, within + 1)]
        for method, first in rng.sample(places, faults):
            calls = tuple(range(first, first + rng.randint(1, in_a_row)))
            text = f"{rng.choice(REFUSALS)} ({draw.token(6)})"
            plan.faults.append(Fault(method, calls, rng.choice([*kinds]), text=text))
        return plan

    # -- planning

    def refuse(
        self, method: str, *calls: int, text: str = "try again later", about: str | None = None
    ) -> Self:
        """Fail these calls in the probe without carrying them out."""
        return self._add(Fault(method, calls, Kind.REFUSED, about, text=text))

    def lose(
        self,
        method: str,
        *calls: int,
        text: str = "connection reset by peer",
        about: str | None = None,
    ) -> Self:
        """Carry these calls out but fail them in the probe."""
        return self._add(Fault(method, calls, Kind.LOST, about, text=text))

    def hold(self, method: str, *calls: int, barrier: Barrier, about: str | None = None) -> Self:
        """Hold back the replies of these calls at a barrier."""
        return self._add(Fault(method, calls, Kind.HELD, about, barrier=barrier))

    def delay(self, method: str, *calls: int, seconds: float, about: str | None = None) -> Self:
        """Answer these calls after `seconds` of the judge's clock."""
        return self._add(Fault(method, calls, Kind.DELAYED, about, seconds=seconds))

    def _add(self, fault: Fault) -> Self:
        self.faults.append(fault)
        return self

    # -- playing

    def reply(self, method: str, carry_out: Callable[[], Any], *, about: str | None = None) -> Any:
        """Return what the fake's method should return; raises Refuse if this call is to fail."""
        fault = self._next(method, about)
        match fault:
            case None:
                return carry_out()
            case Fault(kind=Kind.REFUSED):
                raise Refuse(fault.text)
            case Fault(kind=Kind.LOST):
                carry_out()
                raise Refuse(fault.text)
            case Fault(barrier=Barrier() as barrier):
                return barrier.arrive(carry_out())
        return _later(carry_out(), fault.seconds)

    def _next(self, method: str, about: str | None) -> Fault | None:
        self._counts.update({(method, None), (method, about)})
        found = next(filter(partial(self._applies, method, about), self.faults), None)
        self.log.append(LoggedCall(method, about, self._counts[method, None], found))
        return found

    def _applies(self, method: str, about: str | None, fault: Fault) -> bool:
        concerns = fault.method == method and fault.about in (None, about)
        return concerns and self._counts[method, fault.about] in fault.calls

    # -- judging

    def count(self, method: str, about: str | None = None) -> int:
        """How often a method was called, in all or about one thing."""
        return self._counts[method, about]

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults)) or "nothing fails"


def _later(value: Any, seconds: float) -> HeldReply:
    held = HeldReply()
    timer = threading.Timer(seconds, held.release, [value])
    timer.daemon = True
    timer.start()
    return held
