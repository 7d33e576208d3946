"""Grades one submission: runs the exercise's graders with pytest and keeps the verdicts.

pytest runs here, in the trusted process; the candidate's code is in the sandbox. A criterion
passes only by an explicit record made here; totals come from what the graders declare.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import archprep
from archprep import catalog, selftest
from archprep.clean import clean
from archprep.errors import CandidateError, ContentError, UsageError
from archprep.model import (
    CriterionResult,
    Evidence,
    Exercise,
    Reason,
    Scorecard,
    State,
    Submission,
    TaskResult,
)
from archprep.sandbox import Boot, Observation, Sandbox, Scenario

if TYPE_CHECKING:
    import pytest

    from archprep.grading import Declared
    from archprep.model import Isolation

TOTAL = 100
Progress = Callable[[int, int], None]  # criteria done, criteria in all

_INI = Path(__file__).with_name("grader.ini")
_PLUGINS_NOT_NEEDED = (
    "terminal cacheprovider doctest junitxml pastebin stepwise faulthandler logging capture "
    "debugging setuponly setupplan unittest tmpdir monkeypatch recwarn warnings "
    "unraisableexception threadexception"
).split()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which criteria to grade; both None: all of them."""

    task: int | None = None
    criterion: str | None = None

    @property
    def partial(self) -> bool:
        """Whether some criteria are left out."""
        return self.task is not None or self.criterion is not None


def draw_seed() -> int:
    """Draw the seed of an attempt: it decides every input, and is told only afterwards."""
    return secrets.randbelow(10**9)


def grade(
    exercise: Exercise,
    submission: Submission,
    *,
    seed: int,
    level: str | None = None,
    wanted: Wanted = Wanted(),
    progress: Progress | None = None,
) -> Scorecard:
    """Grade a frozen submission; ContentError when archprep or the exercise is at fault."""
    with opened(exercise, submission, level=level) as session:
        return session.grade(submission, seed=seed, wanted=wanted, progress=progress)


@contextmanager
def opened(
    exercise: Exercise, first: Submission, *, level: str | None = None, stage: Path | None = None
) -> Iterator[Session]:
    """Open a sandbox for `first` and, where `stage` holds them, the same candidate's next ones."""
    with selftest.sandbox(exercise, first, level, _boot(exercise), stage) as (sandbox, isolation):
        yield Session(exercise, sandbox, isolation)


class Session:
    """Grades submissions of one candidate in one sandbox, one after another."""

    def __init__(self, exercise: Exercise, sandbox: Sandbox, isolation: Isolation) -> None:
        self._exercise = exercise
        self._sandbox = sandbox
        self._isolation = isolation

    def grade(
        self,
        submission: Submission,
        *,
        seed: int,
        wanted: Wanted = Wanted(),
        progress: Progress | None = None,
    ) -> Scorecard:
        """Grade a submission; between two of them nothing of the candidate's runs."""
        started, clock = datetime.now(UTC), time.monotonic()
        self._sandbox.renew(submission)
        self._sandbox.prepare(self._exercise.limits)
        candidate = Candidate(self._exercise, submission, self._sandbox)
        run = _Run(self._exercise, seed, candidate, wanted, progress)
        run.execute()
        self._sandbox.rest()
        criteria = _block(self._exercise, run.results())
        return Scorecard(
            exercise=self._exercise.id,
            title=self._exercise.title,
            exercise_version=self._exercise.version,
            archprep_version=archprep.__version__,
            seed=seed,
            started_at=started.isoformat(timespec="seconds"),
            duration_s=round(time.monotonic() - clock, 3),
            isolation=self._isolation,
            submission=submission,
            tasks=_by_task(self._exercise, criteria),
            criteria=criteria,
            partial=wanted.partial,
        )


class Candidate:
    """What graders call `candidate`: the submission, as it behaves in the sandbox."""

    def __init__(self, exercise: Exercise, submission: Submission, sandbox: Sandbox) -> None:
        self._exercise = exercise
        self._submission = submission
        self._sandbox = sandbox
        self._import_failure: CandidateError | None = None
        self.prints: dict[str, str] = {}  # of each criterion or scenario that observed
        self.playing = ""  # the criterion or scenario that observes now

    def observe(
        self,
        probe: str,
        /,
        *,
        returns: Any = None,
        seconds: float | None = None,
        given: str | None = None,
        **inputs: Any,
    ) -> Any:
        """Play `probe` in a fresh process and return the plain data it returned: a claim.

        Inputs wrapped by `fake` stay here. `returns` is a type the data must have, checked
        strictly. `given` tells the drawn input in words, for the case that no answer comes.
        Raises CandidateError, which the judge turns into the verdict.
        """
        from archprep.grading import Fake

        if self._import_failure is not None:
            raise self._import_failure  # costs its time once, not once per scenario
        wrapped = {name: value for name, value in inputs.items() if isinstance(value, Fake)}
        fakes = {name: value.target for name, value in wrapped.items()}
        told = {name: value.told for name, value in wrapped.items()}
        plain = {name: value for name, value in inputs.items() if name not in fakes}
        limits = (
            self._exercise.limits
            if seconds is None
            else replace(self._exercise.limits, seconds=seconds)
        )
        try:
            seen = self._sandbox.run(Scenario(probe, plain, fakes, limits, told))
            self.prints[self.playing] = self.prints.get(self.playing, "") + seen.output
            return seen.value if returns is None else _typed(seen, returns)
        except CandidateError as e:
            e.given = given
            if e.reason is Reason.IMPORT:
                self._import_failure = e
            raise


class _Run:
    """One pytest run over an exercise's graders; is itself the plugin that pytest calls."""

    def __init__(
        self,
        exercise: Exercise,
        seed: int,
        candidate: Candidate,
        wanted: Wanted,
        progress: Progress | None,
    ) -> None:
        self._exercise = exercise
        self._seed = seed
        self._candidate = candidate
        self._wanted = wanted
        self._progress = progress
        self._declared: dict[str, Declared] = {}
        self._selected: list[str] = []
        self._results: dict[str, CriterionResult] = {}
        self._broken: list[str] = []
        self._unknown: UsageError | None = None
        self._hints = catalog.hints(exercise)

    def execute(self) -> None:
        """Collect and run; ContentError when the graders do not add up."""
        import pytest

        from archprep import grading

        folder = self._exercise.grader_dir
        args = ["-c", str(_INI), f"--rootdir={folder.parent}", "--import-mode=importlib"]
        # Without it pytest imports each conftest.py above the graders, up to the file system's
        # root: a workspace that holds the virtual environment is such a place.
        args += ["--noconftest", "--assert=plain"]
        args += [a for name in _PLUGINS_NOT_NEEDED for a in ("-p", f"no:{name}")]
        with _quiet_pytest(), _forgotten_modules(folder):
            code = pytest.main([*args, str(folder)], plugins=[self, grading])
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
        """Return a result for each criterion that was asked for, in the order of the tasks."""
        return tuple(self._results.get(name) or self._unrecorded(name) for name in self._selected)

    # -- pytest's hooks -------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        config.archprep_seed = self._seed  # type: ignore[attr-defined]
        config.archprep_candidate = self._candidate  # type: ignore[attr-defined]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._broken.append(str(report.longrepr))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            declared = getattr(getattr(item, "function", None), "criterion", None)
            name = criterion_id(item)
            if declared is None or name in self._declared:
                self._broken.append(f"{name} is not a criterion, or is there twice")
            else:
                self._declared[name] = declared
        self._check_declarations()
        items.sort(
            key=lambda item: self._declared[criterion_id(item)].task if not self._broken else 0
        )
        items[:] = [] if self._broken else [i for i in items if self._is_wanted(criterion_id(i))]
        self._selected = [criterion_id(i) for i in items]
        if not items and not self._broken:
            self._unknown = self._nothing_wanted()

    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        import pytest

        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" or (call.when == "setup" and error is not None):
            self._record(item, error, call.duration)
        # Our own report: pytest's renders a traceback for each failure, which nobody reads here
        # and which costs more than all else.
        outcome: Literal["passed", "failed"] = "passed" if error is None else "failed"
        when = "setup" if call.when == "collect" else call.when
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, when)

    def _record(self, item: pytest.Item, error: BaseException | None, duration: float) -> None:
        name = criterion_id(item)
        result = self._verdict(name, error, duration)
        self._results[name] = _with_prints(result, self._prints_of(item))
        if self._progress is not None:
            self._progress(len(self._results), len(self._selected))

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        from archprep.grading import Tally

        Tally.made = 0  # what a scenario compared does not prove this criterion
        self._candidate.playing = item.name

    def _prints_of(self, item: pytest.Item) -> str:
        played = [*getattr(item, "fixturenames", ()), item.name]
        return "".join(self._candidate.prints.get(name, "") for name in played)

    # -- verdicts -------------------------------------------------------------------------

    def _verdict(self, name: str, error: BaseException | None, duration: float) -> CriterionResult:
        from archprep.grading import Tally, Unmet

        result = replace(self._blank(name), duration_s=round(duration, 4))
        if isinstance(error, KeyboardInterrupt):
            raise error
        if isinstance(error, CandidateError):
            return _of_candidate_error(result, error)
        if isinstance(error, Unmet):
            evidence = Evidence(given=_cleaned(error.given), difference=_cleaned(error.difference))
            return replace(
                result,
                state=State.FAILED,
                expected=_cleaned(error.expected),
                observed=_cleaned(error.observed),
                evidence=evidence,
            )
        if error is not None:
            return replace(result, state=State.GRADER_ERROR, reason=_blame(error))
        if not Tally.made:
            return replace(
                result, state=State.GRADER_ERROR, reason="the criterion compared nothing"
            )
        return replace(result, state=State.PASSED, earned=result.points, hint=None)

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
        if missing := {d.hint for d in self._declared.values()} - self._hints.keys():
            self._broken.append(f"hints.md has no section {', '.join(sorted(missing))}")

    def _is_wanted(self, name: str) -> bool:
        if self._wanted.criterion is not None:
            return name == self._wanted.criterion
        return self._wanted.task in (None, self._declared[name].task)

    def _nothing_wanted(self) -> UsageError:
        if self._wanted.criterion is not None:
            import difflib

            near = difflib.get_close_matches(
                self._wanted.criterion, self._declared, n=3, cutoff=0.4
            )
            listed = ", ".join(near or self._declared)
            return UsageError(
                f"{self._exercise.id} has no criterion {clean(self._wanted.criterion, 60)!r}.",
                tip=f"Did you mean one of: {listed}?",
            )
        numbers = ", ".join(str(t.number) for t in self._exercise.tasks)
        return UsageError(
            f"{self._exercise.id} has no task {self._wanted.task}.", tip=f"Its tasks are {numbers}."
        )


def criterion_id(item: pytest.Item) -> str:
    """Return a criterion's id: test_denied_not_counted is denied-not-counted."""
    return item.name.removeprefix("test_").replace("_", "-")


def _boot(exercise: Exercise) -> Boot:
    probes = (exercise.grader_dir / "probes.py").read_text()
    modules = tuple(name.removesuffix(".py").replace("/", ".") for name in exercise.entry)
    return Boot(probes, modules, exercise.preload, selftest.secret_folders())


def _with_prints(result: CriterionResult, prints: str) -> CriterionResult:
    if result.state is not State.FAILED or result.evidence.output:
        return result
    return replace(result, evidence=replace(result.evidence, output=prints))


def _blame(error: BaseException) -> str:
    """Name the place in the grader for its author; the message could tell an expected value."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"


def _of_candidate_error(result: CriterionResult, error: CandidateError) -> CriterionResult:
    evidence = Evidence(
        given=_cleaned(error.given), frames=error.frames, output=error.output, message=error.message
    )
    if error.exception == "NotImplementedError" and error.reason is Reason.CRASH:
        return replace(
            result,
            state=State.FAILED,
            expected=result.title,
            observed=_not_written(error),
            evidence=evidence,
        )
    return replace(
        result,
        state=State.CANDIDATE_ERROR,
        reason=error.reason.value,
        expected=result.title,
        observed=_SENTENCES[error.reason].format(error.message),
        evidence=evidence,
    )


_SENTENCES = {
    Reason.TIMEOUT: "Time-out: {}.",
    Reason.MEMORY: "Too much memory: {}.",
    Reason.OUTPUT: "Too much output: your code {}.",
    Reason.CRASH: "Your code did not get through: {}.",
    Reason.PROTOCOL: "Not an answer: your code {}.",
    Reason.IMPORT: "Your code cannot be imported: {}.",
}


def _not_written(error: CandidateError) -> str:
    where = (
        f"{error.frames[-1].function} ({error.frames[-1].file}:{error.frames[-1].line})"
        if error.frames
        else "a method"
    )
    return f"Not written yet: {where} raises NotImplementedError."


def _block(
    exercise: Exercise, criteria: tuple[CriterionResult, ...]
) -> tuple[CriterionResult, ...]:
    """Mark what failed for want of an earlier task: one cause is better than ten consequences."""
    earned = {
        t.number: sum(c.earned for c in criteria if c.task == t.number) for t in exercise.tasks
    }
    seen = {c.task for c in criteria}
    missing = {
        t.number: [n for n in t.needs if n in seen and not earned[n]] for t in exercise.tasks
    }
    return tuple(
        replace(
            c,
            state=State.BLOCKED,
            reason=f"needs task {missing[c.task][0]}, which earns nothing yet",
        )
        if missing[c.task] and c.state in (State.FAILED, State.CANDIDATE_ERROR)
        else c
        for c in criteria
    )


def _by_task(exercise: Exercise, criteria: tuple[CriterionResult, ...]) -> tuple[TaskResult, ...]:
    return tuple(
        TaskResult(t.number, t.title, sum(c.points for c in mine), sum(c.earned for c in mine))
        for t in exercise.tasks
        if (mine := [c for c in criteria if c.task == t.number])
    )


def _typed(seen: Observation, kind: Any) -> Any:
    import msgspec

    try:
        return msgspec.convert(seen.value, kind, strict=True)
    except msgspec.ValidationError as e:
        raise CandidateError(
            Reason.PROTOCOL,
            f"led to an observation of the wrong form ({clean(str(e), 200)})",
            output=seen.output,
        ) from None


def _cleaned(text: str | None) -> str | None:
    return None if text is None else clean(text, 4000)


@contextmanager
def _forgotten_modules(folder: Path) -> Iterator[None]:
    """Forget the graders' modules: what one run leaves in them must not reach the next."""
    try:
        yield
    finally:
        for name, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]


@contextmanager
def _quiet_pytest() -> Iterator[None]:
    """Keep the user's own pytest settings and plugins out of the judge."""
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
