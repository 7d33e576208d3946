"""Holds right answers against each other, for authors: they must agree on every program.

A disagreement is a fault of one of them, a rule that the brief lacks, or a program that should
not be drawn. The verdict also says whether the programs are worth playing: how many the rules do
not decide, and how many use each feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archprep.core.errors import GraderFault
from archprep.grading.toolkit.sweep_compare import difference, in_words
from archprep.grading.toolkit.sweep_corpus import Draw
from archprep.grading.toolkit.sweep_players import Observer, Outcome, Player
from archprep.grading.toolkit.sweep_shrink import shrink
from archprep.grading.toolkit.sweep_spec import Program, Sweep, Trace

MOST_SHRUNK = 10  # disagreements of one answer; the others are only counted


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A program on which an answer differs from the first one, shrunk, and how it differs."""

    answer: str
    program: Program
    steps: tuple[str, ...]  # the program in words
    says: str


@dataclass(slots=True)
class Verdict:
    """What a jury found."""

    programs: int
    left_out: int = 0  # the rules do not decide what they do
    reasons: Counter[str] = field(default_factory=Counter)  # for leaving programs out
    features: Counter[str] = field(default_factory=Counter)  # programs that use each
    rules: Counter[str] = field(default_factory=Counter)  # programs that exercise each
    disagreeing: Counter[str] = field(default_factory=Counter)  # programs, by answer
    disagreements: list[Disagreement] = field(default_factory=list)


def jury(
    spec: Sweep, answers: Mapping[str, Observer], draw: Draw, tasks: Collection[int], count: int
) -> Verdict:
    """Play `count` programs of each task; compare all answers with the first one."""
    programs = [program for task in tasks for program in draw.programs(spec, task, count)]
    (_, first), *others = answers.items()
    expected = _traces(Player(first, spec).play(programs))
    verdict = Verdict(len(programs))
    verdict.left_out = sum(not spec.defined(trace) for trace in expected)
    verdict.reasons.update(why for trace in expected for why in {*trace.undefined})
    for program in programs:
        verdict.features.update(f for used in spec.needs(program).values() for f in {*used})
    for program, trace in zip(programs, expected, strict=True):
        verdict.rules.update({*spec.exercises(program, trace)})
    for name, answer in others:
        outcomes = Player(answer, spec).play(programs)
        differing = [
            program
            for program, due, outcome in zip(programs, expected, outcomes, strict=True)
            if spec.defined(due) and _differ(spec, due, outcome)
        ]
        verdict.disagreeing[name] = len(differing)
        verdict.disagreements += _shrunk(spec, name, (first, answer), differing[:MOST_SHRUNK])
    return verdict


def _traces(outcomes: Sequence[Outcome]) -> list[Trace]:
    traces = [outcome for outcome in outcomes if isinstance(outcome, Trace)]
    if len(traces) < len(outcomes):
        raise GraderFault("the first answer returned no trace for a program of the sweep")
    return traces


def _differ(spec: Sweep, expected: Trace, outcome: Outcome) -> bool:
    return not isinstance(outcome, Trace) or difference(spec, expected, outcome) is not None


def _shrunk(
    spec: Sweep, name: str, pair: tuple[Observer, Observer], programs: Sequence[Program]
) -> Iterator[Disagreement]:
    def play(batch: Sequence[Program]) -> Iterator[tuple[Trace, Outcome]]:
        first, other = (Player(answer, spec).play(batch) for answer in pair)
        return zip(_traces(first), other, strict=True)

    def first_differing(batch: Sequence[Program]) -> int | None:
        both = enumerate(play(batch))
        return next((i for i, (a, b) in both if spec.defined(a) and _differ(spec, a, b)), None)

    for program in programs:
        small, _ = shrink(spec, program, first_differing)
        ((expected, outcome),) = play([small])
        yield Disagreement(name, small, tuple(spec.tell(small)), _says(spec, expected, outcome))


def _says(spec: Sweep, expected: Trace, outcome: Outcome) -> str:
    if not isinstance(outcome, Trace):
        return f"ends the scenario: {outcome}"
    found = difference(spec, expected, outcome)
    return in_words(spec, found) if found else "differs from run to run"
