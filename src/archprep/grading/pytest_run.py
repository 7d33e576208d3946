"""Runs an exercise's graders with pytest and keeps a result for each criterion.

pytest never sees the submission: graders ask a `Candidate`, which asks the sandbox.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archprep.content import criteria, exercise_files, rules
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import BrokenRule, CriterionResult, Exercise, Reason, State
from archprep.grading import verdicts
from archprep.grading.lost_rules import LostRules
from archprep.grading.wanted import Wanted

if TYPE_CHECKING:
    import pytest

    from archprep.grading.api import Declared
    from archprep.grading.candidate import Candidate
    from archprep.grading.reference import Reference

TOTAL = 100
# Gets the number of criteria done, the number of all, and the latest verdict in words.
Progress = Callable[[int, int, str], None]

_INI = Path(__file__).with_name("grader.ini")
_PLUGINS_NOT_NEEDED = (
    "terminal cacheprovider doctest junitxml pastebin stepwise faulthandler logging capture "
    "debugging setuponly setupplan unittest tmpdir monkeypatch recwarn warnings "
    "unraisableexception threadexception"
).split()


class Run:
    """One pytest run over an exercise's graders; also the plugin whose hooks pytest calls."""

    def __init__(
        self,
        exercise: Exercise,
        seed: int,
        candidate: Candidate,
        wanted: Wanted,
        progress: Progress | None,
        reference: Reference,
        sweep_factor: int = 1,
    ) -> None:
        self._exercise = exercise
        self._reference = reference
        self._sweep_factor = sweep_factor
        self._seed = seed
        self._candidate = candidate
        self._wanted = wanted
        self._progress = progress
        self._declared: dict[str, Declared] = {}
        self._selected: list[str] = []
        self._results: dict[str, CriterionResult] = {}
        self._lost_rules = LostRules()
        self._broken: list[str] = []
        self._unknown: UsageError | None = None
        self._hints = exercise_files.hints(exercise)
        self._rules = rules.load(exercise)
        self._pool: ThreadPoolExecutor | None = None
        self._started: dict[tuple[str, str], Future[Any]] = {}
        self._stopped = False

    def execute(self) -> None:
        """Collect and run; ContentError if the graders are inconsistent."""
        import pytest

        from archprep.grading import api

        folder = self._exercise.grader_dir
        args = ["-c", str(_INI), f"--rootdir={folder.parent}", "--import-mode=importlib"]
        # Otherwise pytest imports every conftest.py above the graders, up to the root. The virtual
        # environment may lie in a workspace.
        args += ["--noconftest", "--assert=plain"]
        args += [a for name in _PLUGINS_NOT_NEEDED for a in ("-p", f"no:{name}")]
        with _quiet_pytest(), _forgotten_modules(folder), self._running_side_by_side():
            code = pytest.main([*args, str(folder)], plugins=[self, api])
        if code == pytest.ExitCode.INTERRUPTED and not self._broken:
            raise KeyboardInterrupt
        if self._unknown:
            raise self._unknown
        if self._broken:
            raise ContentError(
                f"The graders of {self._exercise.id} cannot be used: {self._broken[0]}"
            )
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise ContentError(
                f"pytest could not run the graders of {self._exercise.id} ({code!r})."
            )

    def results(self) -> tuple[CriterionResult, ...]:
        """Return a result for each requested criterion, in the order of the tasks."""
        names = list(self._results) if self._stopped else self._selected
        return tuple(self._explained(name) or self._unrecorded(name) for name in names)

    def _explained(self, name: str) -> CriterionResult | None:
        """Return a result; it is no loss if rules that failed in other criteria explain it."""
        result, causes = self._results.get(name), self._lost_rules.explanation(name)
        if result is None or not causes:
            return result
        blank = self._blank(name)
        said = verdicts.costs_nothing_again(causes)
        passed = replace(blank, state=State.PASSED, earned=blank.points, hint=None, observed=said)
        return replace(passed, duration_s=result.duration_s)

    # -- pytest's hooks -------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Provide what the fixtures of `grading.api` return."""
        config.archprep_seed = self._seed  # type: ignore[attr-defined]
        config.archprep_candidate = self._candidate  # type: ignore[attr-defined]
        config.archprep_reference = self._reference  # type: ignore[attr-defined]
        config.archprep_sweep_factor = self._sweep_factor  # type: ignore[attr-defined]
        config.archprep_failed_rules = self._lost_rules.charged  # type: ignore[attr-defined]
        config.archprep_started = self._started  # type: ignore[attr-defined]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a grader that cannot be imported."""
        if report.failed:
            self._broken.append(str(report.longrepr))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Collect the declarations, and keep the requested criteria."""
        for item in items:
            declared = getattr(getattr(item, "function", None), "criterion", None)
            name = _id(item)
            if declared is None or name in self._declared:
                self._broken.append(f"{name} is not a criterion, or is declared twice")
            else:
                self._declared[name] = declared
        self._check_declarations()
        if not self._broken:
            items.sort(key=self._position)
        items[:] = [] if self._broken else [i for i in items if self._is_wanted(_id(i))]
        self._selected = [_id(i) for i in items]
        if not items and not self._broken:
            self._unknown = self._wanted.nothing(self._exercise, [*self._declared])

    def _position(self, item: pytest.Item) -> tuple[int, bool]:
        """Order by task; a sweep comes last, when it is known which rules have failed."""
        name = _id(item)
        return self._declared[name].task, name.startswith("sweep")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the scenarios of the requested criteria, if they may run side by side."""
        from archprep.grading.api import STANDALONE

        if self._pool is None:
            return
        wanted = dict.fromkeys(
            (item.module.__name__, name)  # type: ignore[attr-defined]
            for item in session.items
            for name in getattr(item, "fixturenames", ())
        )
        keys = [key for key in wanted if key in STANDALONE]
        for key in sorted(keys, key=lambda key: not STANDALONE[key].waits):
            inputs = {"candidate": self._candidate}
            self._started[key] = self._pool.submit(STANDALONE[key].play, self._seed, inputs)

    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """Record the verdict; no other place does."""
        import pytest

        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" or (call.when == "setup" and error is not None):
            self._record(item, error, call.duration)
            if self._wanted.until_lost and self._results[_id(item)].lost:
                self._stopped = True
                item.session.shouldfail = "the first criterion is lost"
        # Not pytest's report: it renders a traceback for each failure, which costs more than all
        # the rest and is not shown.
        outcome: Literal["passed", "failed"] = "passed" if error is None else "failed"
        when = "setup" if call.when == "collect" else call.when
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, when)

    @contextmanager
    def _running_side_by_side(self) -> Iterator[None]:
        if self._exercise.side_by_side == 1:
            yield
            return
        self._pool = ThreadPoolExecutor(self._exercise.side_by_side)
        try:
            yield
        finally:
            # After an early end the next grading must not find a scenario that still plays.
            self._pool.shutdown(wait=self._stopped, cancel_futures=True)

    def _record(self, item: pytest.Item, error: BaseException | None, duration: float) -> None:
        from archprep.grading.api import Tally

        name = _id(item)
        took = round(duration + _played(item), 4)
        blank = replace(self._blank(name), duration_s=took, programs=Tally.programs)
        compared = Tally.made > 0
        result = verdicts.of(blank, error, compared=compared, prints=self._prints_of(item))
        result = self._with_broken_rule(result, error)
        if result.state is State.PASSED and Tally.left_out:
            result = replace(result, observed=Tally.left_out)
        self._results[name] = result
        if self._progress is not None:
            said = f"{result.state.value.replace('_', ' ')}: {name}"
            self._progress(len(self._results), len(self._selected), said)

    def _with_broken_rule(
        self, result: CriterionResult, error: BaseException | None
    ) -> CriterionResult:
        """Name the rule that broke, the criterion's first unless the assertion named another.

        Of several rules, a time-out does not say which one broke.
        """
        if not result.rules or result.state in (State.PASSED, State.GRADER_ERROR):
            return result
        named: str | None = getattr(error, "rule", None)
        if named is None and result.reason == Reason.TIMEOUT and len(result.rules) > 1:
            return result
        name, place = rules.split(named or result.rules[0])
        if problem := next(rules.unknown(self._rules, [named or name], result.task), None):
            return replace(result, state=State.GRADER_ERROR, reason=problem, observed=None)
        causes: frozenset[str] = getattr(error, "causes", frozenset())
        sweep = result.programs > 0
        self._lost_rules.add(result.id, named or result.rules[0], causes, sweep=sweep)
        broken = BrokenRule(name, self._rules[name].text, place)
        return replace(result, broken=broken, hint=self._hints[name][0])

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Reset the counts at the start of a criterion."""
        from archprep.grading.api import Tally

        Tally.programs = 0
        Tally.left_out = None
        Tally.made = 0  # what a scenario compared does not prove this criterion
        self._candidate.playing = item.name

    def _prints_of(self, item: pytest.Item) -> str:
        played = [*getattr(item, "fixturenames", ()), item.name]
        return "".join(self._candidate.prints.get(name, "") for name in played)

    def _blank(self, name: str) -> CriterionResult:
        declared = self._declared[name]
        hints = self._hints.get(declared.hint) or [""]
        return CriterionResult(
            name,
            declared.title,
            declared.task,
            declared.points,
            0,
            State.GRADER_ERROR,
            hint=hints[0] or None,
            rules=declared.rules,
        )

    def _unrecorded(self, name: str) -> CriterionResult:
        return replace(self._blank(name), reason="the grader ended without a verdict")

    def _check_declarations(self) -> None:
        total = sum(d.points for d in self._declared.values())
        tasks = {t.number for t in self._exercise.tasks}
        if total != TOTAL:
            self._broken.append(f"the points of the criteria add up to {total}, not {TOTAL}")
        if {d.task for d in self._declared.values()} != tasks:
            self._broken.append(
                "each task needs a criterion, and each criterion a task of exercise.yaml"
            )
        for name, declared in self._declared.items():
            problems = rules.unknown(self._rules, declared.rules, declared.task)
            self._broken += [f"criterion {name}: {problem}" for problem in problems]
            sections = [rules.split(rule)[0] for rule in declared.rules] or [declared.hint]
            missing = [section for section in sections if section not in self._hints]
            self._broken += [f"hints.md has no section {section}" for section in missing]

    def _is_wanted(self, name: str) -> bool:
        if self._declared[name].task not in {t.number for t in self._exercise.selected_tasks}:
            return False
        return self._wanted.includes(name, self._declared[name].task)


def _played(item: pytest.Item) -> float:
    """The seconds of the scenarios that feed a criterion, and perhaps other criteria."""
    from archprep.grading.api import SECONDS

    module = item.module.__name__  # type: ignore[attr-defined]
    names = getattr(item, "fixturenames", ())
    return sum(SECONDS.get((module, name), 0.0) for name in names)


def _id(item: pytest.Item) -> str:
    return criteria.criterion_id(item.name)


@contextmanager
def _forgotten_modules(folder: Path) -> Iterator[None]:
    """Unload the graders' modules, so that no state of one run reaches the next."""
    try:
        yield
    finally:
        for name, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]


@contextmanager
def _quiet_pytest() -> Iterator[None]:
    """Keep the user's pytest settings and plugins out of the judge."""
    names = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    saved = {name: os.environ.pop(name, None) for name in names}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
