"""Proves exercises: plans jobs, runs them and turns their results into findings."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from archprep.author import file_checks, findings, stubs, trial
from archprep.author.model import ExerciseProof, Finding, Job, JobKind, JobResult, Proof
from archprep.content import exercise_files
from archprep.content.wrong_answers import WrongAnswer, find_wrong_answers, read_wrong_answer
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise
from archprep.grading import session
from archprep.grading.process_pool import Workers, cores
from archprep.sandbox import selftest

Progress = Callable[[int, int, str], None]  # jobs done, jobs in all, an empty string
Pool = Workers[Job, JobResult]

REFERENCE_SEEDS = 10
STACK_SEEDS = 3  # for exercises whose sandbox takes seconds to start
THOROUGH_SEEDS = 3  # for each wrong answer
FORGED_ROUNDS = 3
THOROUGH_ROUNDS = 30


def check(
    exercises: Sequence[Exercise],
    *,
    jobs: int | None = None,
    thorough: bool = False,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove that the graders accept the reference and nothing less.

    `jobs` is the number of processes, one per core by default. `seed` repeats an earlier proof:
    whatever is graded once is graded with it.
    """
    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1.")
    started = time.monotonic()
    chosen = session.draw_seed() if seed is None else seed
    isolation = selftest.inspect(None).profile.level  # remembered, so that no process repeats it
    plans = [_plan(exercise, chosen, thorough=thorough) for exercise in exercises]
    with Pool(jobs or cores(), trial.job_runner, trial.lost, "archprep-author-") as pool:
        _run_all(plans, pool, progress or (lambda *_: None))
    proofs = tuple(plan.proof() for plan in plans)
    return Proof(proofs, chosen, round(time.monotonic() - started, 1), isolation)


@dataclass(slots=True)
class Plan:
    """The jobs that prove one exercise, and their results.

    `later` jobs run only if the reference passes: without it, wrong answers and stubs prove
    nothing.
    """

    exercise: Exercise
    first: list[Job] = field(default_factory=list)
    later: list[Job] = field(default_factory=list)
    wrong: list[WrongAnswer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    results: list[JobResult] = field(default_factory=list)

    @property
    def reference_passes(self) -> bool:
        """Whether the first run of the reference earned every point."""
        runs = [r for r in self.results if r.job.kind is JobKind.REFERENCE]
        return bool(runs) and runs[0].error is None and runs[0].card.passed

    def proof(self) -> ExerciseProof:
        """Return the findings of the plan and of its results."""
        found = [*self.findings, *findings.find(self.exercise, self.results, self.wrong)]
        counts = Counter(r.job.kind for r in self.results)
        criteria = next((len(r.card.criteria) for r in self.results if r.cards), 0)
        return ExerciseProof(self.exercise, tuple(dict.fromkeys(found)), counts, criteria)


def _run_all(plans: list[Plan], pool: Pool, progress: Progress) -> None:
    total = sum(len(p.first) + len(p.later) for p in plans)
    count = 0

    def done() -> None:
        nonlocal count
        count += 1
        progress(count, total, "")

    _run(plans, [job for plan in plans for job in plan.first], pool, done)
    ready = [plan for plan in plans if plan.reference_passes]
    total -= sum(len(p.later) for p in plans if p not in ready)
    _run(ready, [job for plan in ready for job in plan.later], pool, done)


def _run(plans: list[Plan], jobs: list[Job], pool: Pool, done: Callable[[], None]) -> None:
    results = pool.do(jobs, done)
    for plan in plans:
        plan.results += [r for r in results if r.job.exercise.id == plan.exercise.id]


def _plan(exercise: Exercise, seed: int, *, thorough: bool) -> Plan:
    plan = Plan(exercise, findings=list(file_checks.find(exercise)))
    try:
        reference = exercise_files.reference(exercise)
        plan.first = list(_first(exercise, seed, reference))
        plan.later = [
            *_right_answers(exercise, seed),
            *_wrong_answers(plan, _seeds(seed, THOROUGH_SEEDS if thorough else 1), reference),
            *_stubs(exercise, seed),
            _forged(exercise, seed, reference, THOROUGH_ROUNDS if thorough else FORGED_ROUNDS),
            *_references(exercise, _seeds(seed, _reference_seeds(exercise))[1:], reference),
        ]
    except ContentError as e:
        plan.findings.append(Finding(exercise.id, "", e.message))
    return plan


def _first(exercise: Exercise, seed: int, reference: dict[str, str]) -> Iterator[Job]:
    yield from _references(exercise, [seed], reference)
    yield Job(exercise, JobKind.STARTER, "the starter", seed, {})
    if (exercise.brief_dir / "starter" / file_checks.EXAMPLES).is_file():
        yield Job(exercise, JobKind.EXAMPLES, "starter", seed, {})
        yield Job(exercise, JobKind.EXAMPLES, "reference", seed, reference)


def _reference_seeds(exercise: Exercise) -> int:
    return REFERENCE_SEEDS if exercise.stack is None else STACK_SEEDS


def _references(exercise: Exercise, seeds: list[int], reference: dict[str, str]) -> Iterator[Job]:
    for seed in seeds:
        yield Job(exercise, JobKind.REFERENCE, "the reference", seed, reference)


def _right_answers(exercise: Exercise, seed: int) -> Iterator[Job]:
    for name, files in exercise_files.right_answers(exercise).items():
        yield Job(exercise, JobKind.RIGHT, name, seed, files)


def _stubs(exercise: Exercise, seed: int) -> Iterator[Job]:
    for name, files in stubs.from_starter(exercise).items():
        yield Job(exercise, JobKind.STUB, name, seed, files)


def _forged(exercise: Exercise, seed: int, reference: dict[str, str], rounds: int) -> Job:
    return Job(exercise, JobKind.FORGED, "forged observations", seed, reference, rounds)


def _wrong_answers(plan: Plan, seeds: list[int], reference: dict[str, str]) -> Iterator[Job]:
    for path in find_wrong_answers(plan.exercise):
        try:
            wrong = read_wrong_answer(path)
            files = wrong.files(reference)
        except ContentError as e:
            plan.findings.append(Finding(plan.exercise.id, "", e.message))
            continue
        plan.wrong.append(wrong)
        for seed in seeds:
            yield Job(plan.exercise, JobKind.WRONG, wrong.name, seed, files)


def _seeds(first: int, count: int) -> list[int]:
    more = random.Random(first)  # noqa: S311 - repeatable on purpose
    return [first, *(more.randrange(10**9) for _ in range(count - 1))]
