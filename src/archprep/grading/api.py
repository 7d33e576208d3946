"""What graders import: declare criteria, observe the candidate, compare, explain.

    @scenario
    def burst(candidate, rng):
        plan = draw_plan(rng)
        return plan, candidate.observe("replay", plan=plan, returns=list[bool])

    @criterion("Denied requests do not use up the window", task=1, points=8, hint="denied")
    def test_denied_not_counted(burst):
        plan, seen = burst
        assert_same(seen, model(plan), says="after a burst of denials the window opens on time")

Runs in the judge. Nothing of it, and no expected value, ever reaches the sandbox.
"""

from __future__ import annotations

import inspect
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from archprep.content.rules import split
from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archprep.grading.candidate import Candidate
    from archprep.grading.reference import Reference
    from archprep.grading.toolkit.sweep import SweepRun
    from archprep.sandbox.services.redis_server import RedisServer


F = TypeVar("F", bound=Callable[..., Any])
SHOWN = 400  # characters of a value on either side of a difference


@contextmanager
def redis_server(candidate: Candidate) -> Iterator[RedisServer]:
    """Run a real server in its own sandbox for as long as the block lasts.

    What the judge's connection cannot do any more is the candidate's doing: CandidateError.
    """
    from redis import RedisError

    from archprep.sandbox.services import redis_server

    with redis_server.running(candidate.profile) as server:
        try:
            yield server
        except RedisError as e:
            text = f"left a server that no longer answers the judge ({sanitize(str(e), 200)})"
            raise CandidateError(Reason.PROTOCOL, text) from None


@dataclass(frozen=True, slots=True)
class Declared:
    """What the decorator declares about a criterion."""

    title: str
    task: int
    points: int
    hint: str  # its section of hints.md: the first rule's, where there are rules
    rules: tuple[str, ...] = ()


class Unmet(Exception):  # noqa: N818 - an unmet expectation is a verdict, not an error
    """The behaviour differs from what the brief promises; `rule` is the one that broke.

    Without `rule` it is the criterion's first. `causes` are rules of other criteria that may
    explain everything: if all of them fail there, the criterion loses nothing.
    """

    def __init__(
        self,
        expected: str,
        observed: str,
        given: str | None,
        difference: str | None = None,
        *,
        rule: str | None = None,
        causes: Collection[str] = (),
    ) -> None:
        super().__init__(expected)
        self.expected, self.observed, self.given, self.difference = (
            expected,
            observed,
            given,
            difference,
        )
        self.rule = rule
        self.causes = frozenset(causes)


@dataclass(frozen=True, slots=True)
class StandaloneScenario:
    """A scenario that needs only the candidate, so it may run side by side with others."""

    play: Callable[[int, dict[str, Any]], Any]
    waits: bool  # it waits more than it works: start it first


STANDALONE: dict[tuple[str, str], StandaloneScenario] = {}  # by module and name
SECONDS: dict[tuple[str, str], float] = {}  # that a scenario took


class _Tally(threading.local):
    made = 0
    programs = 0  # random programs that a sweep has played
    left_out: str | None = None  # differences that a sweep found and does not charge, in words


# Counts the comparisons of the running criterion: one that compares nothing proves nothing.
Tally = _Tally()


def criterion(
    title: str, *, task: int, points: int, rules: Sequence[str] = (), hint: str = ""
) -> Callable[[F], F]:
    """Declare a test function as one graded behaviour of these rules, such as 1.3 or 2.4/refresh.

    The rules' sections of hints.md are its hints. In an exercise without numbered rules `hint`
    names a section instead.
    """
    section = split(rules[0])[0] if rules else hint

    def declare(function: F) -> F:
        made = Declared(title, task, points, section, tuple(rules))
        function.criterion = made  # type: ignore[attr-defined]
        return function

    return declare


def scenario(function: Callable[..., Any] | None = None, *, waits: bool = False) -> Any:
    """Make a fixture that runs once and feeds every criterion that requests it.

    Its `rng` depends on the seed and its name alone, so that one criterion repeats exactly.
    `waits`: it spends its time waiting, so where several play at once it starts first.
    """
    if function is None:
        return partial(scenario, waits=waits)
    name = function.__name__
    key = (function.__module__, name)
    needed = [p for p in inspect.signature(function).parameters if p != "rng"]
    drawn = "rng" in inspect.signature(function).parameters

    def play(seed: int, inputs: dict[str, Any]) -> Any:
        if drawn:
            inputs["rng"] = random_for(seed, name)
        if "candidate" in inputs:
            inputs["candidate"].playing = name  # set here: other scenarios may have run in between
        began = time.monotonic()
        try:
            return function(**inputs)
        finally:
            SECONDS[key] = time.monotonic() - began

    def fixture(request: pytest.FixtureRequest) -> Any:
        under_way = request.config.archprep_started.get(key)  # type: ignore[attr-defined]
        if under_way is not None:
            return under_way.result()
        inputs = {p: request.getfixturevalue(p) for p in needed}
        return play(request.config.archprep_seed, inputs)  # type: ignore[attr-defined]

    if needed == ["candidate"]:
        STANDALONE[key] = StandaloneScenario(play, waits)
    return pytest.fixture(scope="module", name=name)(fixture)


@pytest.fixture(scope="session")
def candidate(request: pytest.FixtureRequest) -> Any:
    """Return the submission as it behaves in the sandbox (`candidate.Candidate`)."""
    return request.config.archprep_candidate  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def reference(request: pytest.FixtureRequest) -> Reference:
    """Return the reference, observed like `candidate` in its own sandbox."""
    return request.config.archprep_reference  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="session")
def kept_programs() -> dict[str, Any]:
    """Return what has come of the kept programs of sweeps so far, by program."""
    return {}


@pytest.fixture
def sweep(
    request: pytest.FixtureRequest,
    candidate: Any,
    reference: Reference,
    kept_programs: dict[str, Any],
) -> SweepRun:
    """Return the sweep of this criterion's task: compares both on random programs."""
    from archprep.grading.toolkit.sweep import SweepRun

    config, declared = request.config, request.function.criterion
    return SweepRun(
        candidate,
        reference,
        config.archprep_seed,  # type: ignore[attr-defined]
        declared.task,
        declared.rules,
        config.archprep_sweep_factor,  # type: ignore[attr-defined]
        config.archprep_failed_rules(),  # type: ignore[attr-defined]
        kept_programs,
    )


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Return the randomness of this criterion."""
    return random_for(request.config.archprep_seed, request.function.__name__)  # type: ignore[attr-defined]


def random_for(seed: int, name: str) -> random.Random:
    """Return the source of randomness of one criterion or scenario."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - repeatable on purpose; the seed is the secret


def expect(
    condition: bool,  # noqa: FBT001
    *,
    expected: str,
    observed: str,
    given: str | None = None,
    rule: str | None = None,
) -> None:
    """Fail the criterion unless `condition`; the candidate reads these sentences.

    `rule` is the rule that broke, if it is not the criterion's first.
    """
    Tally.made += 1
    if not condition:
        raise Unmet(expected, observed, given, rule=rule)


def assert_same(
    observed: Any, expected: Any, *, says: str, given: str | None = None, rule: str | None = None
) -> None:
    """Fail the criterion unless both are equal in value and type at every depth.

    `says` states the expected behaviour, `rule` is as in `expect`; the first difference is shown,
    never cut in its middle.
    """
    Tally.made += 1
    path = difference(observed, expected)
    if path is None:
        return
    there, wanted = _at(observed, path), _at(expected, path)
    detail = _shape(there, wanted)
    if detail is None and path:
        detail = f"expected {_show(wanted)}, observed {_show(there)}"
    if detail is not None and path:
        detail = f"at {''.join(f'[{step!r}]' for step in path)}: {detail}"
    raise Unmet(f"{says}: {_show(expected)}", _show(observed), given, detail, rule=rule)


def difference(a: Any, b: Any) -> tuple[Any, ...] | None:
    """Return the path to the first difference: () at the top, None if there is none.

    Types count: True is not 1 and 1.0 is not 1. Of sequences the common part counts first.
    """
    if type(a) is not type(b):
        return ()
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return ()
        return _first_difference((k, a[k], b[k]) for k in b)
    if isinstance(a, list | tuple):
        inside = _first_difference((i, x, y) for i, (x, y) in enumerate(zip(a, b, strict=False)))
        return () if inside is None and len(a) != len(b) else inside
    return None if a == b else ()


def _first_difference(triples: Any) -> tuple[Any, ...] | None:
    for step, x, y in triples:
        path = difference(x, y)
        if path is not None:
            return (step, *path)
    return None


def _shape(there: Any, wanted: Any) -> str | None:
    """Describe what is missing or too much where the rest is equal: long values get cut."""
    if type(there) is not type(wanted):
        return None
    if isinstance(wanted, list | tuple):
        same = min(len(there), len(wanted))
        rest = there[same:] or wanted[same:]
        which = "too much" if len(there) > same else "missing"
        return f"the first {same} are as expected, then {which}: {_show(rest)}"
    if isinstance(wanted, dict):
        missing, more = [*(wanted.keys() - there.keys())], [*(there.keys() - wanted.keys())]
        said = [f"missing: {_show(missing)}"] * bool(missing)
        return ", ".join(said + [f"too much: {_show(more)}"] * bool(more))
    return None


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _show(value: Any) -> str:
    return shortened(repr(value), SHOWN)
