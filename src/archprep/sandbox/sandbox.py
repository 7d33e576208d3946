"""The trusted side of the boundary: runs scenarios in fresh processes and ends them.

What comes back is an observation (a claim, not a fact) or a CandidateError.
"""

from __future__ import annotations

import os
import selectors
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from archprep.core.errors import CandidateError
from archprep.core.sanitize import sanitize
from archprep.sandbox import failures
from archprep.sandbox.control_channel import ForkServerError, ScenarioProcess
from archprep.sandbox.deadline import SAMPLE_SECONDS, Deadline
from archprep.sandbox.fork_server import BootConfig, ForkServer
from archprep.sandbox.scenario import Observation, RunningScenario, Scenario
from archprep.sandbox.scenario_channel import DeadlineError, ScenarioChannel
from archprep.sandbox.watchdog import Watchdog, drain_output, read_output
from archprep.worker import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archprep.core.model import Limits, Submission
    from archprep.sandbox.isolation import Profile

EXIT_GRACE_SECONDS = 0.3  # for a scenario that has closed its channel to end by itself
SHOWN_OUTPUT = 4000  # characters of printed output that are kept


class Sandbox:
    """Runs a submission's scenarios; use as a context manager.

    `stage` is the folder shown inside: the submission's own, or one above it in which later
    submissions of the same candidate will lie (`renew`). Up to `side_by_side` threads may run
    scenarios at the same time.
    """

    def __init__(
        self,
        profile: Profile,
        boot: BootConfig,
        submission: Submission,
        seccomp: bytes,
        stage: Path | None = None,
        side_by_side: int = 1,
    ) -> None:
        self.profile = profile
        self._side_by_side = side_by_side
        self._submission = submission
        self._server = ForkServer(profile, boot, stage or submission.root, seccomp)
        self._spare: ScenarioProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process above everything that runs in the sandbox."""
        return self._server.pid

    def start(self) -> None:
        """Start the fork server without waiting: it boots while the judge imports."""
        self._server.start()

    def prepare(self, limits: Limits) -> None:
        """Have a process with these limits ready for the first scenario; does not wait."""
        self._dismiss_spare()
        self._spawn_spare(limits)

    def renew(self, submission: Submission) -> None:
        """Go on with another submission of the same candidate, in the same stage."""
        self._submission = submission
        self.rest()

    def rest(self) -> None:
        """End the spare process, so that nothing of the candidate's runs between gradings."""
        self._dismiss_spare()

    def close(self) -> None:
        """Kill everything in the sandbox and delete its scratch files."""
        self._server.close()
        self._dismiss_spare()

    def run(self, scenario: Scenario) -> Observation:
        """Run one scenario in a fresh process and return what was observed.

        Raises CandidateError for whatever the candidate's code did instead, ContentError if the
        sandbox itself failed, and whatever a judge-side fake raised.
        """
        with self._connected(scenario) as (process, channel):
            return self._play(scenario, process, channel)

    @contextmanager
    def running(self, scenario: Scenario) -> Iterator[RunningScenario]:
        """Run one scenario in a thread, and end it with the block."""
        with self._connected(scenario) as (process, channel), ThreadPoolExecutor(1) as thread:
            ending = thread.submit(self._play, scenario, process, channel)
            try:
                yield RunningScenario(ending, channel)
            finally:
                channel.stop()

    @contextmanager
    def _connected(self, scenario: Scenario) -> Iterator[tuple[ScenarioProcess, ScenarioChannel]]:
        try:
            process = self._take(scenario)
            deadline = Deadline(scenario.limits.seconds)
            watchdog = Watchdog(process, deadline, lambda: self.pid, self._side_by_side)
            try:
                yield (
                    process,
                    ScenarioChannel(process.channel, scenario.fakes, deadline, watchdog.look),
                )
            finally:
                process.close()
        except ForkServerError as e:
            raise self._server.failure(str(e)) from None

    def _take(self, scenario: Scenario) -> ScenarioProcess:
        """Return a waiting process with the scenario's limits: the spare one, or a new one."""
        warmed, limits = scenario.warmed, scenario.limits
        self._server.ensure_ready(warmed=warmed)
        spare = self._spare
        fits = spare is not None and spare.limits == limits and not warmed
        if spare is not None and fits and not (spare.lost or spare.refused):
            self._spare = None
            return spare
        self._dismiss_spare()
        self._server.ensure_ready(warmed=warmed)
        return self._server.spawn(limits, self._submission, warmed=warmed)

    def _spawn_spare(self, limits: Limits) -> None:
        if self._side_by_side == 1:  # otherwise the processors are busy with the others
            self._spare = self._server.spawn(limits, self._submission)

    def _dismiss_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            self._server.end(spare)
            spare.close()

    def _play(
        self, scenario: Scenario, process: ScenarioProcess, channel: ScenarioChannel
    ) -> Observation:
        status, grace = None, 0.0
        try:
            try:
                self._converse(scenario, process, channel)
                grace = 0.0 if channel.answer or channel.stopped else EXIT_GRACE_SECONDS
            finally:
                status = self._server.end(process, grace)
                drain_output(process)
            if process.refused:
                raise ForkServerError(process.refused)
            channel.finish()
            self._check_ending(process, channel, status)
            return Observation(self._conclude(channel), _output(process))
        except CandidateError as e:
            # At level A the spare process counts against the same limit of processes, and would
            # fail after a scenario that takes them all.
            self._dismiss_spare()
            inside = self._server.inside(self._submission)
            e.frames = e.frames or failures.stuck_at(
                bytes(process.printed), inside, self._submission
            )
            e.output = _output(process)
            raise

    def _converse(
        self, scenario: Scenario, process: ScenarioProcess, channel: ScenarioChannel
    ) -> None:
        limit = scenario.limits.seconds
        if not channel.imported:
            channel.deadline.restart(min(limit, protocol.IMPORT_SECONDS))
        try:
            _send_request(scenario, channel)
            # The next process starts and imports on another core meanwhile.
            self._spawn_spare(scenario.limits)
            _pump(process, channel, limit)
        except DeadlineError:
            raise failures.timed_out(channel.deadline.seconds, imported=channel.imported) from None

    @staticmethod
    def _check_ending(
        process: ScenarioProcess, channel: ScenarioChannel, status: int | None
    ) -> None:
        """Raise CandidateError if the scenario ended by itself without an answer."""
        if channel.answer is not None or channel.stopped:
            return
        if failures.broke_while_dumping(status, bytes(process.printed)):
            raise failures.timed_out(channel.deadline.seconds, imported=channel.imported)
        raise failures.ended_early(status, imported=channel.imported)

    def _conclude(self, channel: ScenarioChannel) -> Any:
        answer = channel.answer or {"result": None}  # a server that was stopped answers nothing
        if "raised" in answer:
            raise failures.raised(answer["raised"], self._submission)
        return answer["result"]


def _pump(process: ScenarioProcess, channel: ScenarioChannel, limit: float) -> None:
    """Answer calls and read output until the scenario answers, ends or breaks a limit.

    The import has a deadline of its own; the probe gets `limit` seconds.
    """
    importing = not channel.imported
    with selectors.DefaultSelector() as selector:
        selector.register(process.channel, selectors.EVENT_READ)
        selector.register(process.log, selectors.EVENT_READ)
        while channel.answer is None:
            for key, _ in selector.select(SAMPLE_SECONDS):
                if key.fileobj is process.channel:
                    if not channel.read():
                        return
                elif read_output(process) == b"":
                    selector.unregister(process.log)
            if importing and channel.imported:
                importing = False
                channel.deadline.restart(limit)
            channel.watch()


def _send_request(scenario: Scenario, channel: ScenarioChannel) -> None:
    """Send the request and, with it, the descriptors; the judge's copies are closed."""
    request = {
        "probe": scenario.probe,
        "inputs": scenario.inputs,
        "fakes": {name: fake.one_way for name, fake in scenario.fakes.items()},
        "listeners": len(scenario.listeners),
        "endpoints": list(scenario.endpoints),
    }
    opened = [endpoint.open() for endpoint in scenario.endpoints.values()]
    try:
        sent = [*(listener.fileno() for listener in scenario.listeners), *opened]
        channel.send(protocol.encode(request), sent)
    finally:
        # A listener that stays open in the judge would keep connections waiting for a dead app.
        for listener in scenario.listeners:
            listener.close()
        for descriptor in opened:
            os.close(descriptor)


def _output(process: ScenarioProcess) -> str:
    return sanitize(failures.without_dumps(bytes(process.printed)), SHOWN_OUTPUT)
