"""What grading needs of a sandbox; `author check` injects runners that record or forge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from archprep.core.errors import CandidateError
    from archprep.sandbox.isolation import Profile
    from archprep.sandbox.scenario import Observation, Scenario


class ServingScenario(Protocol):
    """A scenario under way that serves apps to the judge's HTTP client."""

    def elapsed(self) -> float:
        """Return the seconds for which the scenario could have run: see `sandbox.deadline`."""

    def failure(self, seconds: float) -> CandidateError | None:
        """Return the error that ended the scenario, waiting up to `seconds` for one."""

    def result(self) -> Observation:
        """End the scenario and return what was observed; CandidateError if it failed."""


class ScenarioRunner(Protocol):
    """Runs the scenarios of one submission."""

    @property
    def profile(self) -> Profile:
        """The isolation in force."""

    def run(self, scenario: Scenario) -> Observation:
        """Run a scenario to its end; CandidateError if the candidate's code fails."""

    def running(self, scenario: Scenario) -> AbstractContextManager[ServingScenario]:
        """Run a scenario in the background for as long as the block lasts."""
