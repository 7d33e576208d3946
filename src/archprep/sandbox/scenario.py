"""A scenario, what is observed of it, and one that is running in a thread."""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason

if TYPE_CHECKING:
    import socket

    from archprep.core.model import Limits
    from archprep.sandbox.fakes import Fake
    from archprep.sandbox.scenario_channel import ScenarioChannel
    from archprep.sandbox.sockets import Endpoint

SERVER_IMPORT_SECONDS = 4.0  # a server still importing after this long will not serve


@dataclass(frozen=True, slots=True)
class Scenario:
    """One probe with its inputs and the judge-side fakes it may call.

    `listeners` are sockets that the judge has made: their descriptors are sent with the request,
    and the judge closes its own copies. `warmed`: play after the first use of the exercise's stack.
    """

    probe: str
    inputs: dict[str, Any]
    fakes: dict[str, Fake]
    limits: Limits
    listeners: list[socket.socket] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    warmed: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe returned, which is a claim, and what was printed meanwhile, sanitized."""

    value: Any
    output: str


class RunningScenario:
    """A scenario that runs in a thread while the judge is a client of what it serves."""

    def __init__(self, ending: Future[Observation], channel: ScenarioChannel) -> None:
        self._ending = ending
        self._channel = channel

    def elapsed(self) -> float:
        """The seconds for which the scenario could have run: see `deadline`."""
        return self._channel.deadline.elapsed()

    def failure(self, seconds: float) -> CandidateError | None:
        """Wait at most `seconds` for the scenario to end by itself; return why it did.

        Raises what a judge-side fake has raised: that is a fault of the grader.
        """
        if not wait([self._ending], seconds).done:
            return self._import_hangs()
        try:
            self._ending.result()
        except CandidateError as e:
            return e
        return CandidateError(Reason.CRASH, "the server ended by itself")

    def result(self) -> Observation:
        """End the scenario; raise what it has ended with by itself."""
        self._channel.stop()
        return self._ending.result()

    def _import_hangs(self) -> CandidateError | None:
        from archprep.sandbox import failures

        took = self.elapsed()
        if self._channel.imported or took < SERVER_IMPORT_SECONDS:
            return None
        return failures.timed_out(round(took, 1), imported=False)
