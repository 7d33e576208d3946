"""Grades forged observations: no criterion may pass on them, and no grader may crash.

A forging runner takes the place of the sandbox. It answers each probe without calling a judge-side
fake, and each HTTP request without an app. It forges in three ways: the candidate's code always
fails; data of any shape; data of the shape that the reference produced, with every value redrawn.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archprep.author import forged_replies
from archprep.author.forged_replies import REPLIES, EndlessScenario, ForgedReply
from archprep.core.errors import CandidateError
from archprep.core.model import Exercise, Isolation, Reason, Scorecard, Submission
from archprep.grading import session
from archprep.grading.candidate import Candidate
from archprep.sandbox import isolation
from archprep.sandbox.scenario import Observation, Scenario

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from archprep.grading.scenario_runner import ScenarioRunner, ServingScenario
    from archprep.sandbox.isolation import Profile

Recorded = dict[str, list[Any]]  # what each probe returned; under REPLIES, what apps replied
Answer = Callable[[str], Any]  # from the name of a probe, or REPLIES

_NO_ISOLATION = "Observations were forged in the judge; nothing was run."


def grade(
    exercise: Exercise, reference: Submission, starter: Submission, *, seed: int, rounds: int
) -> Iterator[Scorecard]:
    """Yield a scorecard of the starter for each forgery; `reference` provides the shapes."""
    recorded = _record(exercise, reference, seed)
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    answers: list[Answer] = [_failing]
    for _ in range(rounds):
        answers += [_of_any_shape(rng), _of_the_same_shape(rng, recorded)]
    for answer in answers:
        candidate = Candidate(exercise, ForgingRunner(answer))
        yield session.run_graders(exercise, starter, candidate, _no_isolation(exercise), seed=seed)


def _record(exercise: Exercise, reference: Submission, seed: int) -> Recorded:
    recorded: Recorded = {}
    with session.opened(exercise, reference) as opened:
        candidate = Candidate(
            exercise,
            RecordingRunner(opened.sandbox, recorded),
            forged_replies.recording_client(recorded),
        )
        session.run_graders(exercise, reference, candidate, opened.isolation, seed=seed)
    return recorded


def _no_isolation(exercise: Exercise) -> Isolation:
    return Isolation(
        "", "", "", 0, seccomp=False, selftest={}, sentence=_NO_ISOLATION, limits=exercise.limits
    )


class RecordingRunner:
    """Runs scenarios with another runner and records what the probes return."""

    def __init__(self, runner: ScenarioRunner, recorded: Recorded) -> None:
        self._runner = runner
        self._recorded = recorded

    @property
    def profile(self) -> Profile:
        """The isolation of the wrapped runner."""
        return self._runner.profile

    def run(self, scenario: Scenario) -> Observation:
        """Run a scenario and record the value it led to."""
        observation = self._runner.run(scenario)
        self._recorded.setdefault(scenario.probe, []).append(observation.value)
        return observation

    def running(self, scenario: Scenario) -> AbstractContextManager[ServingScenario]:
        """Run a scenario that serves apps; the HTTP client records the replies."""
        return self._runner.running(scenario)


class ForgingRunner:
    """Runs nothing and answers for every probe and every app."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.profile = isolation.plain()

    def run(self, scenario: Scenario) -> Observation:
        """Return a forged observation."""
        return Observation(self._answer(scenario.probe), output="")

    @contextmanager
    def running(self, scenario: Scenario) -> Iterator[EndlessScenario]:
        """Reply to the requests that arrive at the scenario's listeners."""
        yield forged_replies.serve(scenario.listeners, lambda: self._answer(REPLIES))


def _failing(_: str) -> Any:
    raise CandidateError(Reason.CRASH, "the observation was forged")


def _of_any_shape(rng: random.Random) -> Answer:
    return lambda _: _anything(rng, depth=3)


def _of_the_same_shape(rng: random.Random, recorded: Recorded) -> Answer:
    unused = {probe: iter(values) for probe, values in recorded.items()}

    # A forged observation may end a grader early, so the starter may play fewer scenarios than the
    # reference did. If it plays more, they return None.
    return lambda probe: redrawn(rng, next(unused.get(probe, iter(())), None))


def redrawn(rng: random.Random, value: Any) -> Any:
    """Return data of the same shape with every value drawn anew."""
    if isinstance(value, ForgedReply):
        return value.redrawn(rng, redrawn)
    if isinstance(value, list):
        return [redrawn(rng, item) for item in value]
    if isinstance(value, dict):
        return {key: redrawn(rng, item) for key, item in value.items()}
    draw = _DRAW.get(type(value))
    return value if draw is None else draw(rng, value)


_DRAW: dict[type, Callable[[random.Random, Any], Any]] = {
    bool: lambda rng, _: rng.random() < 0.5,
    int: lambda rng, _: rng.randrange(-10, 10 ** rng.randrange(1, 10)),
    float: lambda rng, _: rng.uniform(0, 10 ** rng.randrange(6)),
    str: lambda rng, value: _text(rng, len(value)),
}


def _anything(rng: random.Random, depth: int) -> Any:
    if depth and rng.random() < 0.6:
        size = rng.choice([0, 1, 2, 7])
        items = [_anything(rng, depth - 1) for _ in range(size)]
        return items if rng.random() < 0.5 else {_text(rng, 4): item for item in items}
    return rng.choice([None, True, False, 0, 1, -1, 2**63, 0.5, 1e308, "", "0", _text(rng, 9)])


def _text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(string.ascii_letters, k=length))
