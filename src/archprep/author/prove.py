"""Proves exercises: plans what is graded, has it graded, and turns it into findings."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from archprep.author import answers, files, verdicts
from archprep.author.pool import Workers, cores
from archprep.author.proof import Finding, Job, Kind, Outcome, Proof, Proven
from archprep.content import exercise_files
from archprep.content.wrong_answers import WrongAnswer, read_wrong_answer
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise
from archprep.grading import session
from archprep.sandbox import selftest

Progress = Callable[[int, int, str], None]  # jobs done, jobs in all, nothing more

REFERENCE_SEEDS = 10
STACK_SEEDS = 3  # where each sandbox takes seconds to start
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

    `seed` repeats the inputs of an earlier proof: all that is graded once is graded with it.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"{jobs} processes grade nothing.", tip="Use --jobs 1 or more.")
    started = time.monotonic()
    chosen = session.draw_seed() if seed is None else seed
    isolation = selftest.inspect(None).profile.level  # tested once, for all processes
    plans = [_plan(exercise, chosen, thorough=thorough) for exercise in exercises]
    with Workers(cores() if jobs is None else jobs) as workers:
        _carry_out(plans, workers, progress or (lambda *_: None))
    proven = tuple(plan.proven() for plan in plans)
    return Proof(proven, chosen, round(time.monotonic() - started, 1), isolation)


@dataclass(slots=True)
class Plan:
    """What is to be done for one exercise, and what came of it.

    Without a reference that passes, wrong answers and stubs prove nothing: they wait for it.
    """

    exercise: Exercise
    first: list[Job] = field(default_factory=list)
    then: list[Job] = field(default_factory=list)
    wrong: list[WrongAnswer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def reference_passes(self) -> bool:
        """Whether the first run of the reference earned everything."""
        runs = [o for o in self.outcomes if o.job.kind is Kind.REFERENCE]
        return bool(runs) and runs[0].fault is None and runs[0].card.passed

    def proven(self) -> Proven:
        """Judge what came of the jobs."""
        self.findings += verdicts.of(self.exercise, self.outcomes, self.wrong)
        counts = Counter(o.job.kind for o in self.outcomes)
        criteria = next((len(o.card.criteria) for o in self.outcomes if o.cards), 0)
        unique = tuple(dict.fromkeys(self.findings))
        return Proven(self.exercise, unique, counts, criteria)


def _carry_out(plans: list[Plan], workers: Workers, progress: Progress) -> None:
    total = sum(len(p.first) + len(p.then) for p in plans)
    count = 0

    def done() -> None:
        nonlocal count
        count += 1
        progress(count, total, "")

    _do(plans, [job for plan in plans for job in plan.first], workers, done)
    ready = [plan for plan in plans if plan.reference_passes]
    total -= sum(len(p.then) for p in plans if p not in ready)
    _do(ready, [job for plan in ready for job in plan.then], workers, done)


def _do(plans: list[Plan], jobs: list[Job], workers: Workers, done: Callable[[], None]) -> None:
    outcomes = workers.do(jobs, done)
    for plan in plans:
        plan.outcomes += [o for o in outcomes if o.job.exercise.id == plan.exercise.id]


def _plan(exercise: Exercise, seed: int, *, thorough: bool) -> Plan:
    plan = Plan(exercise, findings=list(files.inspect(exercise)))
    try:
        reference = exercise_files.reference(exercise)
        plan.first = list(_first(exercise, seed, reference))
        plan.then = [
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
    yield Job(exercise, Kind.STARTER, "the starter", seed, {})
    if (exercise.brief_dir / "starter" / files.EXAMPLES).is_file():
        yield Job(exercise, Kind.EXAMPLES, "starter", seed, {})
        yield Job(exercise, Kind.EXAMPLES, "reference", seed, reference)


def _reference_seeds(exercise: Exercise) -> int:
    return REFERENCE_SEEDS if exercise.stack is None else STACK_SEEDS


def _references(exercise: Exercise, seeds: list[int], reference: dict[str, str]) -> Iterator[Job]:
    for seed in seeds:
        yield Job(exercise, Kind.REFERENCE, "the reference", seed, reference)


def _right_answers(exercise: Exercise, seed: int) -> Iterator[Job]:
    for name, answer in exercise_files.right_answers(exercise).items():
        yield Job(exercise, Kind.RIGHT, name, seed, answer)


def _stubs(exercise: Exercise, seed: int) -> Iterator[Job]:
    for name, stub in answers.stubs(exercise).items():
        yield Job(exercise, Kind.STUB, name, seed, stub)


def _forged(exercise: Exercise, seed: int, reference: dict[str, str], rounds: int) -> Job:
    return Job(exercise, Kind.FORGED, "forged observations", seed, reference, rounds)


def _wrong_answers(plan: Plan, seeds: list[int], reference: dict[str, str]) -> Iterator[Job]:
    for path in sorted((plan.exercise.grader_dir / "wrong").glob("*.yaml")):
        try:
            wrong = read_wrong_answer(path)
            changed = wrong.files(reference)
        except ContentError as e:
            plan.findings.append(Finding(plan.exercise.id, "", e.message))
            continue
        plan.wrong.append(wrong)
        for seed in seeds:
            yield Job(plan.exercise, Kind.WRONG, wrong.name, seed, changed)


def _seeds(first: int, count: int) -> list[int]:
    more = random.Random(first)  # noqa: S311 - repeatable on purpose
    return [first, *(more.randrange(10**9) for _ in range(count - 1))]
