"""Proves exercises: plans jobs, runs them and turns their results into findings."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from archprep.author import (
    file_checks,
    findings,
    form_checks,
    mutants,
    mutation,
    receipts,
    stubs,
    sweep_survey,
    trial,
)
from archprep.author.form_checks import FormChecks
from archprep.author.model import (
    ExerciseProof,
    Extent,
    Finding,
    Job,
    JobKind,
    JobResult,
    Pool,
    Progress,
    Proof,
)
from archprep.content import exercise_files
from archprep.content.wrong_answers import WrongAnswer, find_wrong_answers, read_wrong_answer
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise, Scorecard
from archprep.grading import session
from archprep.grading.process_pool import cores
from archprep.sandbox import selftest

# A sample should take 40 s; each commit draws another one.
SAMPLE_SEEDS = 2  # of the reference
SAMPLE_WRONG = 4  # wrong answers
SAMPLE_STUBS = 1
FULL_SEEDS = 10  # of the reference
STACK_SEEDS = 3  # instead, for exercises whose sandbox takes seconds to start
FORGED_ROUNDS = 3  # for each seed of a full proof
FULL_MUTANTS = 200


def check(
    exercises: Sequence[Exercise],
    *,
    full: Callable[[Exercise], bool] = lambda _: False,
    seeds: int = 1,
    jobs: int | None = None,
    seed: int | None = None,
    draft: bool = False,
    progress: Progress | None = None,
) -> Proof:
    """Prove that the graders accept the reference and nothing less, one exercise after another.

    `full` says which exercises are proven in full: unless a receipt says that this was done
    before, with `seeds` seeds for each wrong answer. Of the others a drawn sample is proven.
    `draft` leaves out right answers, mutants and limits on size. `jobs` is the number of processes.
    `seed` repeats an earlier proof: whatever is graded once is graded with it.
    """
    if jobs is not None and jobs < 1:
        raise UsageError("--jobs must be at least 1.")
    if seeds < 1:
        raise UsageError("--seeds must be at least 1.")
    started = time.monotonic()
    chosen = session.draw_seed() if seed is None else seed
    isolation = selftest.inspect(None).profile.level  # remembered, so that no process repeats it
    plans = [
        _plan(exercise, chosen, seeds if full(exercise) else None, draft=draft)
        for exercise in exercises
    ]
    with Pool(
        jobs or mutation.JOBS_PER_CORE * cores(), trial.job_runner, trial.lost, "archprep-author-"
    ) as pool:
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
    extent: Extent
    draft: bool
    mutants: mutation.Drawn | None = None
    first: list[Job] = field(default_factory=list)
    later: list[Job] = field(default_factory=list)
    wrong: list[WrongAnswer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    results: list[JobResult] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def reference_passes(self) -> bool:
        """Whether the first run of the reference earned every point."""
        runs = [r for r in self.results if r.job.kind is JobKind.REFERENCE]
        return bool(runs) and runs[0].error is None and runs[0].card.passed

    @property
    def first_card(self) -> Scorecard:
        """The scorecard of the first run of the reference."""
        return self.results[0].card

    def proof(self) -> ExerciseProof:
        """Return the findings of the plan and of its results; keep a receipt of a full proof."""
        complete = self.extent is Extent.FULL
        found = findings.find(self.exercise, self.results, self.wrong, complete=complete)
        verdicts = mutation.judge(self.mutants, self.results) if self.mutants else None
        every = tuple(dict.fromkeys([*self.findings, *found, *self._of_form(verdicts)]))
        counts = Counter(r.job.kind for r in self.results)
        examined = self.mutants is not None or not FormChecks(self.exercise).rules
        if complete and examined and not every and not self.draft:
            receipts.keep(self.exercise, self.seconds)
        return ExerciseProof(
            self.exercise,
            every,
            counts,
            next((r.card.criteria for r in self.results if r.cards), ()),
            self.extent,
            self.seconds,
            tuple(r.survey for r in self.results if r.survey),
            verdicts,
            frozenset(form_checks.broken(self.results, self.wrong)),
            self.draft,
        )

    def _of_form(self, verdicts: mutation.Verdicts | None) -> Iterator[Finding]:
        """Yield the findings that need a reference that scores 100."""
        if not self.reference_passes:
            return
        form = FormChecks(self.exercise)
        yield from form.sweeps(self.first_card.criteria)
        yield from form.declared_rules(self.wrong)
        if self.extent is Extent.FULL:
            yield from form.unbroken(form_checks.broken(self.results, self.wrong))
        if verdicts:
            yield from verdicts.findings()

    def run(self, pool: Pool, done: Callable[[], None]) -> None:
        """Run the jobs and note how long that takes."""
        started = time.monotonic()
        self.results += pool.do(self.first, done)
        if self.reference_passes:
            # Only grading shows which criteria are sweeps.
            sweeps = [c.id for c in self.first_card.criteria if c.programs]
            full = self.extent is Extent.FULL and not self.draft
            self.later += sweep_survey.jobs(self.first[0], sweeps, full=full)
            self.results += pool.do(self.later, done)
        self.seconds = round(time.monotonic() - started, 1)


def _run_all(plans: list[Plan], pool: Pool, progress: Progress) -> None:
    count = 0
    for plan in plans:

        def done(exercise: str = plan.exercise.id) -> None:
            nonlocal count
            count += 1
            total = sum(len(p.first) + len(p.later) for p in plans)
            progress(count, total, exercise)

        plan.run(pool, done)


def _plan(exercise: Exercise, seed: int, seeds: int | None, *, draft: bool) -> Plan:
    """Plan a full proof with `seeds` seeds for each wrong answer, or with None a sample."""
    if seeds and not draft and (before := receipts.find(exercise)) is not None:
        return Plan(exercise, Extent.RECEIPT, draft, seconds=before)
    plan = Plan(exercise, Extent.FULL if seeds else Extent.SAMPLE, draft)
    plan.findings = list(file_checks.find(exercise))
    try:
        reference = exercise_files.reference(exercise)
        plan.first = list(_first(exercise, seed, reference))
        drawn = random.Random(seed)  # noqa: S311 - repeatable on purpose
        sample = partial(_sample, drawn) if seeds is None else _all
        wrong = _wrong_answers(plan, reference)
        form = FormChecks(exercise)
        plan.findings += form.ungraded()
        if not draft:
            plan.findings += [*form.size(), *form.right_answers()]
        if seeds and form.rules and not draft and mutants.is_available():
            plan.mutants = mutation.draw(exercise, seed, FULL_MUTANTS)
        plan.later = [
            *([] if draft else _right_answers(exercise, seed)),
            *(
                replace(job, seed=s)
                for job in sample(wrong, SAMPLE_WRONG)
                for s in _seeds(seed, seeds or 1)
            ),
            *sample(_stubs(exercise, seed), SAMPLE_STUBS),
            _forged(exercise, seed, reference, FORGED_ROUNDS * seeds if seeds else 1),
            *_references(exercise, _seeds(seed, _reference_seeds(exercise, seeds))[1:], reference),
            *(plan.mutants.jobs(seed) if plan.mutants else ()),
        ]
    except ContentError as e:
        plan.findings.append(Finding(exercise.id, "", e.message))
    return plan


def _sample(drawn: random.Random, jobs: Iterable[Job], count: int) -> list[Job]:
    every = list(jobs)
    return drawn.sample(every, min(count, len(every)))


def _all(jobs: Iterable[Job], _count: int) -> list[Job]:
    return list(jobs)


def _first(exercise: Exercise, seed: int, reference: dict[str, str]) -> Iterator[Job]:
    yield from _references(exercise, [seed], reference)
    yield Job(exercise, JobKind.STARTER, "the starter", seed, {})
    if (exercise.brief_dir / "starter" / file_checks.EXAMPLES).is_file():
        yield Job(exercise, JobKind.EXAMPLES, "starter", seed, {})
        yield Job(exercise, JobKind.EXAMPLES, "reference", seed, reference)


def _reference_seeds(exercise: Exercise, seeds: int | None) -> int:
    if seeds is None:
        return SAMPLE_SEEDS
    return FULL_SEEDS if exercise.stack is None else STACK_SEEDS


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


def _wrong_answers(plan: Plan, reference: dict[str, str]) -> Iterator[Job]:
    for path in find_wrong_answers(plan.exercise):
        try:
            wrong = read_wrong_answer(path)
            files = wrong.files(reference)
        except ContentError as e:
            plan.findings.append(Finding(plan.exercise.id, "", e.message))
            continue
        plan.wrong.append(wrong)
        yield Job(plan.exercise, JobKind.WRONG, wrong.name, 0, files)


def _seeds(first: int, count: int) -> list[int]:
    more = random.Random(first)  # noqa: S311 - repeatable on purpose
    return [first, *(more.randrange(10**9) for _ in range(count - 1))]
