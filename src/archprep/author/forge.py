"""Observations that nobody made: no criterion may pass on them, and no grader may stumble.

The sandbox is replaced by one that answers each probe from thin air, without a single call of a
judge-side fake; for one that serves apps, every request gets a reply from thin air. Three kinds of
answers: data of any shape; data of exactly the shape that the reference led to, with every value
drawn anew; and the candidate's code failing.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archprep.author import replies
from archprep.core.errors import CandidateError
from archprep.core.model import Exercise, Isolation, Limits, Reason, Scorecard, Submission
from archprep.grading import session
from archprep.sandbox import isolation, selftest
from archprep.sandbox.sandbox import BootConfig, Observation, Sandbox, Scenario

Answer = Callable[[Scenario], Any]

_NO_ISOLATION = "Observations were forged in the judge; nothing was run."


def grade(
    exercise: Exercise, reference: Submission, starter: Submission, *, seed: int, rounds: int
) -> Iterator[Scorecard]:
    """The starter's scorecard under each forgery; the reference lends the shapes."""
    seen: dict[str, list[Any]] = {}
    with _recording(seen), replies.recording(seen):
        session.grade(exercise, reference, seed=seed)
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    answers: list[Answer] = [_failing]
    for _ in range(rounds):
        answers += [_of_any_shape(rng), _of_the_same_shape(rng, seen)]
    for answer in answers:
        with _forging(answer):
            yield session.grade(exercise, starter, seed=seed)


@contextmanager
def _recording(seen: dict[str, list[Any]]) -> Iterator[None]:
    genuine = Sandbox.run

    def run(self: Sandbox, scenario: Scenario) -> Observation:
        observation = genuine(self, scenario)
        seen.setdefault(scenario.probe, []).append(observation.value)
        return observation

    with _replaced(Sandbox, "run", run):
        yield


@contextmanager
def _forging(answer: Answer) -> Iterator[None]:
    class Forger:
        profile = isolation.plain()

        def run(self, scenario: Scenario) -> Observation:
            return Observation(answer(scenario), output="")

        @contextmanager
        def playing(self, scenario: Scenario) -> Iterator[Any]:
            yield replies.serve(scenario.listeners, lambda: answer(replies.ASKED))

        def renew(self, _submission: Submission) -> None: ...

        def prepare(self, _limits: Limits) -> None: ...

        def rest(self) -> None: ...

    @contextmanager
    def sandbox(
        exercise: Exercise,
        _submission: Submission,
        _level: str | None,
        _boot: BootConfig,
        _stage: Path | None,
    ) -> Iterator[tuple[Any, Isolation]]:
        yield Forger(), _isolation(exercise)

    with _replaced(selftest, "sandbox", sandbox):
        yield


def _isolation(exercise: Exercise) -> Isolation:
    return Isolation(
        "", "", "", 0, seccomp=False, selftest={}, sentence=_NO_ISOLATION, limits=exercise.limits
    )


@contextmanager
def _replaced(owner: Any, name: str, by: Any) -> Iterator[None]:
    """Only ever in a process of `author check`'s own."""
    genuine = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, genuine)


def _failing(_: Scenario) -> Any:
    raise CandidateError(Reason.CRASH, "the observation was forged")


def _of_any_shape(rng: random.Random) -> Answer:
    return lambda _: _anything(rng, depth=3)


def _of_the_same_shape(rng: random.Random, seen: dict[str, list[Any]]) -> Answer:
    left = {probe: iter(results) for probe, results in seen.items()}

    def answer(scenario: Scenario) -> Any:
        # A grader may stop early and skip a scenario, never add one; but let it.
        return redrawn(rng, next(left.get(scenario.probe, iter(())), None))

    return answer


def redrawn(rng: random.Random, value: Any) -> Any:
    """Data of the same shape, each value drawn anew."""
    if isinstance(value, replies.Forgery):
        return value.redrawn(rng, redrawn)
    if isinstance(value, list):
        return [redrawn(rng, item) for item in value]
    if isinstance(value, dict):
        return {key: redrawn(rng, item) for key, item in value.items()}
    draw = _DRAWN.get(type(value))
    return value if draw is None else draw(rng, value)


_DRAWN: dict[type, Callable[[random.Random, Any], Any]] = {
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
