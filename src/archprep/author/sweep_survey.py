"""Examines sweeps: whether right answers agree, and the programs are worth playing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from archprep.author.model import Finding, Job, JobKind, Survey
from archprep.content import exercise_files
from archprep.core.model import Exercise
from archprep.grading.reference import OwnAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archprep.grading.toolkit.sweep import Sweep, SweepRun
    from archprep.grading.toolkit.sweep_players import Observer

PROGRAMS = 2000  # that right answers play, over all sweeps of an exercise
STACK_PROGRAMS = 200  # instead, for exercises whose programs take long
MOST_LEFT_OUT = 0.2  # of the programs
LEAST_OF_A_RULE = 0.02  # of the programs


def jobs(reference: Job, sweeps: Sequence[str], *, full: bool) -> list[Job]:
    """Return the jobs that examine these criteria; `reference` is the job that grades it.

    `full`: right answers play many programs, too. Otherwise the reference plays those of a check.
    """
    rivals: tuple[str, ...] = ()
    programs = 0
    if full and sweeps:
        rivals = tuple(exercise_files.right_answers(reference.exercise))
        every = PROGRAMS if reference.exercise.stack is None else STACK_PROGRAMS
        programs = -(-every // len(sweeps))
    examined = replace(reference, kind=JobKind.SWEEP, programs=programs, against=rivals)
    return [replace(examined, name=name, criterion=name) for name in sweeps]


@contextmanager
def surveying(job: Job) -> Iterator[list[Survey]]:
    """Examine each sweep that graders ask for in the block, instead of judging by it."""
    from archprep.grading.toolkit.sweep import SURVEY

    surveys: list[Survey] = []

    def survey(run: SweepRun, spec: Sweep, programs: int) -> None:
        surveys.append(_survey(job, run, spec, job.programs or programs))

    token = SURVEY.set(survey)
    try:
        yield surveys
    finally:
        SURVEY.reset(token)


def _survey(job: Job, run: SweepRun, spec: Sweep, programs: int) -> Survey:
    from archprep.grading.toolkit.sweep_corpus import Draw
    from archprep.grading.toolkit.sweep_jury import jury

    answers: dict[str, Observer] = {"the reference": run.reference}
    draw = Draw(run.seed, job.exercise.version)
    with ExitStack() as opened:
        for name in job.against:
            answer = OwnAnswer(job.exercise, _reader(name))
            answers[name] = opened.enter_context(answer)
        return Survey(run.task, jury(spec, answers, draw, [run.task], programs))


def findings(exercise: Exercise, survey: Survey) -> Iterator[Finding]:
    """Yield what makes a sweep unfair, or not worth playing."""
    verdict, graders = survey.verdict, f"graders/{exercise.folder}"
    for name, count in verdict.disagreeing.items():
        if count:
            found = next(d for d in verdict.disagreements if d.answer == name)
            yield Finding(
                exercise.id,
                f"{graders}/right/{name}",
                f"differs from the reference in {count} of {verdict.programs} programs of task "
                f"{survey.task}: one of them is wrong, a rule is missing, or these programs must "
                f"not be drawn. For example: {'; '.join(found.steps)}: {found.says}",
            )
    if verdict.left_out > MOST_LEFT_OUT * verdict.programs:
        often = ", ".join(f"{why} ({count})" for why, count in verdict.reasons.most_common(3))
        message = (
            f"the sweep of task {survey.task} leaves out {verdict.left_out} of "
            f"{verdict.programs} programs, more than {MOST_LEFT_OUT:.0%}. Most frequent: {often}."
        )
        yield Finding(exercise.id, graders, message)
    for rule, count in sorted(verdict.rules.items()):
        if count < LEAST_OF_A_RULE * verdict.programs:
            message = (
                f"only {count} of {verdict.programs} programs of task {survey.task} exercise rule "
                f"{rule}, less than {LEAST_OF_A_RULE:.0%}: draw more of them."
            )
            yield Finding(exercise.id, graders, message)


def _reader(name: str) -> Callable[[Exercise], Mapping[str, str]]:
    return lambda exercise: exercise_files.right_answers(exercise)[name]
