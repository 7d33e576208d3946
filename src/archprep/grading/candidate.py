"""What graders call `candidate`: the submission, as it behaves in the sandbox."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.sandbox import processes
from archprep.sandbox.scenario import Observation, Scenario

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from archprep.core.model import Exercise
    from archprep.grading.http_client import HttpClient
    from archprep.grading.scenario_runner import ScenarioRunner, ServingScenario
    from archprep.sandbox.isolation import Profile

    ClientFactory = Callable[[Sequence[Path], ServingScenario], HttpClient]


class Candidate:
    """Runs probes, and remembers what each scenario printed.

    `http_client` replaces the HTTP client that `serve` hands to a grader.
    """

    def __init__(
        self,
        exercise: Exercise,
        runner: ScenarioRunner,
        http_client: ClientFactory | None = None,
    ) -> None:
        self._exercise = exercise
        self._runner = runner
        self._http_client = http_client
        self._import_failure: CandidateError | None = None
        self.prints: dict[str, str] = {}  # by the criterion or scenario that observed
        self._thread = threading.local()

    @property
    def playing(self) -> str:
        """The criterion or scenario that observes now in this thread."""
        return getattr(self._thread, "playing", "")

    @playing.setter
    def playing(self, name: str) -> None:
        self._thread.playing = name

    @property
    def profile(self) -> Profile:
        """The isolation in force; services that a grader starts run under the same."""
        return self._runner.profile

    def observe(
        self,
        probe: str,
        /,
        *,
        returns: Any = None,
        seconds: float | None = None,
        given: str | None = None,
        warmed: bool = False,
        **inputs: Any,
    ) -> Any:
        """Run `probe` in a fresh process and return its plain data, which is a claim.

        Inputs wrapped by `fake` stay here. `returns` is a type the data must have, checked
        strictly. `given` tells the drawn input in words, for the case that no answer comes.
        `warmed`: the exercise's stack has been used once; without it the probe starts earlier.
        Raises CandidateError, which the judge turns into the verdict.
        """
        with self._blaming(given):
            scenario = replace(self._scenario(probe, inputs, seconds), warmed=warmed)
            seen = self._runner.run(scenario)
            self._keep_prints(seen)
            return seen.value if returns is None else _typed(seen, returns)

    @contextmanager
    def serve(
        self,
        probe: str,
        /,
        *,
        apps: int = 1,
        seconds: float | None = None,
        given: str | None = None,
        **inputs: Any,
    ) -> Iterator[HttpClient]:
        """Run `probe` in a fresh process while the block is a client of the apps it serves.

        The probe gets `listeners`, one socket for each app. The end of the block ends it. Raises
        CandidateError, in the block or at its end, like `observe`.
        """
        from archprep.grading.http_client import HttpClient
        from archprep.sandbox.sockets import listeners

        with self._blaming(given), listeners(apps) as sockets:
            paths = [Path(listener.getsockname()) for listener in sockets]
            scenario = self._scenario(probe, inputs, seconds, sockets)
            with (
                self._runner.running(scenario) as running,
                closing((self._http_client or HttpClient)(paths, running)) as web,
            ):
                try:
                    yield web
                except Exception as e:
                    self._explain(e, running)
                    raise
                self._keep_prints(running.result())

    def _explain(self, error: Exception, running: ServingScenario) -> None:
        """End a scenario whose client failed, and keep what it printed."""
        with suppress(CandidateError):
            seen = running.result()
            if isinstance(error, CandidateError):
                error.output = error.output or seen.output
            self._keep_prints(seen)

    def _scenario(
        self,
        probe: str,
        inputs: dict[str, Any],
        seconds: float | None,
        sockets: Sequence[socket.socket] = (),
    ) -> Scenario:
        from archprep.sandbox.fakes import Fake
        from archprep.sandbox.sockets import Endpoint

        limits = self._exercise.limits
        scenario = Scenario(
            probe, {}, {}, limits if seconds is None else replace(limits, seconds=seconds)
        )
        for name, value in inputs.items():
            match value:
                case Fake():
                    scenario.fakes[name] = value
                case Endpoint() if processes.is_linux():
                    scenario.endpoints[name] = value
                case Endpoint():
                    scenario.inputs[name] = str(value.path)
                case _:
                    scenario.inputs[name] = value
        scenario.listeners.extend(sockets)
        return scenario

    @contextmanager
    def _blaming(self, given: str | None) -> Iterator[None]:
        if self._import_failure is not None:
            raise self._import_failure  # its time is spent once, not in every scenario
        try:
            yield
        except CandidateError as e:
            e.given = given
            if e.reason is Reason.IMPORT:
                self._import_failure = e
            raise

    def _keep_prints(self, seen: Observation) -> None:
        self.prints[self.playing] = self.prints.get(self.playing, "") + seen.output


# msgspec inspects a dataclass on first use and caches the result in the class; two threads doing
# so at the same time crash the process.
_converting = threading.Lock()


def _typed(seen: Observation, kind: Any) -> Any:
    import msgspec

    try:
        with _converting:
            return msgspec.convert(seen.value, kind, strict=True)
    except msgspec.ValidationError as e:
        raise CandidateError(
            Reason.PROTOCOL,
            f"led to an observation of the wrong form ({sanitize(str(e), 200)})",
            output=seen.output,
        ) from None
