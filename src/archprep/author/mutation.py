"""Grades mutants of a reference: each must lose points, or be listed as equivalent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from archprep.author import findings, mutants, trial
from archprep.author.model import Finding, Job, JobKind, JobResult, Pool, Progress
from archprep.author.mutants import Mutant
from archprep.content import equivalent_mutants, exercise_files
from archprep.content.equivalent_mutants import Change
from archprep.core.errors import ContentError, UsageError
from archprep.core.model import Exercise
from archprep.grading import session
from archprep.grading.process_pool import cores
from archprep.sandbox import selftest

MOST_LISTED = 0.15  # of all mutants of an exercise
ENOUGH_KILLED = 50  # to estimate how much of the reference a task needs
JOBS_PER_CORE = 2  # scenarios wait more than they work


@dataclass(frozen=True, slots=True)
class Drawn:
    """The mutants of one exercise that are graded, and what is known about all of them."""

    exercise: Exercise
    reference: dict[str, str] = field(repr=False)
    every: int  # mutants that there are
    mutants: dict[str, Mutant] = field(repr=False)  # those drawn, by name
    listed: dict[Change, str] = field(repr=False)
    vanished: tuple[Change, ...]  # listed, but there is no such mutant

    def jobs(self, seed: int) -> list[Job]:
        """Return a job for each drawn mutant."""
        return [
            Job(self.exercise, JobKind.MUTANT, name, seed, mutant.files(self.reference))
            for name, mutant in self.mutants.items()
        ]


def draw(exercise: Exercise, seed: int, sample: int | None) -> Drawn:
    """Draw `sample` mutants of the reference, or all of them."""
    reference = exercise_files.reference(exercise)
    every = mutants.of(reference)
    listed = equivalent_mutants.load(exercise)
    known = {mutant.change for mutant in every}
    drawn = {str(m.change): m for m in mutants.drawn(every, seed, sample)}
    vanished = tuple(change for change in listed if change not in known)
    return Drawn(exercise, reference, len(every), drawn, listed, vanished)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of drawn mutants. Those that could not be graded are in none of the lists."""

    drawn: Drawn
    killed: tuple[Mutant, ...]
    listed: tuple[Mutant, ...]  # that survived, as their entry says
    survived: tuple[Mutant, ...]
    tasks: Counter[int]  # how many were killed, by the task that lost a criterion first

    def share(self, tasks: Collection[int]) -> float | None:
        """Return about how much of the reference these tasks need; None if too few were killed.

        Tasks are graded in order, so what a mutant changes belongs to the first that notices it.
        """
        total = self.tasks.total()
        return sum(self.tasks[t] for t in tasks) / total if total >= ENOUGH_KILLED else None

    def summary(self) -> str:
        """Return how many mutants met which fate."""
        return (
            f"{len(self.killed)} killed, {len(self.listed)} listed as equivalent, "
            f"{len(self.survived)} survived"
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the graders, and with the list of equivalent mutants."""
        yield from self.survivor_findings()
        yield from self.list_findings()

    def survivor_findings(self) -> Iterator[Finding]:
        """Yield a finding for each mutant that nothing detects."""
        exercise = self.drawn.exercise
        for mutant in self.survived:
            message = (
                f"the mutant {mutant.change} loses nothing. Add what detects it, or list it in "
                f"{equivalent_mutants.FILE} with the reason why no rule can distinguish it."
            )
            yield Finding(exercise.id, f"graders/{exercise.folder}", message)

    def list_findings(self) -> Iterator[Finding]:
        """Yield the entries of equivalent.yaml that are wrong, and whether there are too many."""
        exercise, listed = self.drawn.exercise, self.drawn.listed
        file = f"graders/{exercise.folder}/{equivalent_mutants.FILE}"
        for mutant in self.killed:
            if mutant.change in listed:
                message = f"lists {mutant.change}, which loses points: delete the entry."
                yield Finding(exercise.id, file, message)
        for change in self.drawn.vanished:
            message = f"lists {change}, but there is no such mutant any more: delete the entry."
            yield Finding(exercise.id, file, message)
        if len(listed) > MOST_LISTED * self.drawn.every:
            message = (
                f"lists {len(listed)} of {self.drawn.every} mutants; at most {MOST_LISTED:.0%} "
                "may be equivalent. Simplify the reference, or add rules."
            )
            yield Finding(exercise.id, file, message)


def judge(drawn: Drawn, results: Sequence[JobResult]) -> Verdicts:
    """Sort drawn mutants by what grading them led to."""
    tasks = Counter[int]()
    fates: dict[str, list[Mutant]] = {"killed": [], "listed": [], "survived": []}
    for result in results:
        if result.job.kind is not JobKind.MUTANT or result.error is not None:
            continue
        mutant = drawn.mutants[result.job.name]
        if lost := [c.task for c in result.card.criteria if c.lost]:
            fates["killed"].append(mutant)
            tasks[lost[0]] += 1
        elif result.card.scored:
            fates["listed" if mutant.change in drawn.listed else "survived"].append(mutant)
    return Verdicts(drawn, **{fate: tuple(found) for fate, found in fates.items()}, tasks=tasks)


@dataclass(frozen=True, slots=True)
class Mutation:
    """The result of `archprep author mutate`."""

    verdicts: Verdicts
    seed: int
    faults: tuple[Finding, ...]  # of graders, and mutants that could not be graded

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return (*self.faults, *self.verdicts.findings())


def mutate(
    exercise: Exercise,
    *,
    sample: int | None = None,
    seed: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Mutation:
    """Grade all mutants of an exercise's reference, or a drawn `sample`.

    `seed` draws the sample and the inputs. ContentError if the reference itself loses points.
    """
    for option, number in (("--sample", sample), ("--jobs", jobs)):
        if number is not None and number < 1:
            raise UsageError(f"{option} must be at least 1.")
    chosen = session.draw_seed() if seed is None else seed
    drawn = draw(exercise, chosen, sample)
    selftest.inspect(None)  # remembered, so that no process repeats it
    first = Job(exercise, JobKind.REFERENCE, "the reference", chosen, drawn.reference)
    todo = drawn.jobs(chosen)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(todo) + 1, exercise.id)

    processes = jobs or JOBS_PER_CORE * cores()
    with Pool(processes, trial.job_runner, trial.lost, "archprep-author-") as pool:
        _require_full_score(*pool.do([first], count))
        results = pool.do(todo, count)
    faults = findings.find(exercise, results, [], complete=False)
    return Mutation(judge(drawn, results), chosen, tuple(faults))


def _require_full_score(result: JobResult) -> None:
    if result.error is None and result.card.passed:
        return
    exercise, seed = result.job.exercise.id, result.job.seed
    raise ContentError(
        f"The reference of {exercise} does not score 100 with seed {seed}, so its mutants show "
        "nothing.",
        tip=f"Run `archprep author check {exercise}`.",
    )
