"""Sweeps: random programs played on the candidate and on the reference, and compared.

    class Orders(Sweep):
        ...  # draw, needs, tell, rule: see sweep_spec.py

    @criterion("Nothing else differs in random programs of task 1", task=1, points=4, hint="sweep")
    def test_sweep_routing(sweep):
        sweep(Orders(), programs=300)

The difference that is shown is shrunk before. A criterion answers for its own task: a difference
that breaks a rule of an earlier task costs that task's sweep, not this one, and a rule that has
failed in another criterion of this run costs nothing again.

A criterion about one rule plays the programs that the corpus keeps for it, as they are:

    @criterion("A failed order is retried on time", task=1, points=4, rules=["1.7"])
    def test_retries(sweep):
        sweep.kept(Orders())
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NoReturn

from archprep.content.rules import split
from archprep.core.errors import GraderFault
from archprep.grading.api import Tally, Unmet
from archprep.grading.reference import Reference
from archprep.grading.toolkit.sweep_compare import difference, excerpts, in_words
from archprep.grading.toolkit.sweep_corpus import Draw, Kept, corpus
from archprep.grading.toolkit.sweep_players import Crash, Observer, Outcome
from archprep.grading.toolkit.sweep_shrink import shrink
from archprep.grading.toolkit.sweep_sides import Expected, Sides
from archprep.grading.toolkit.sweep_spec import Program, Sweep, Trace
from archprep.grading.verdicts import costs_nothing_again

__all__ = ["Sweep", "SweepRun"]

_NUMBERED = re.compile(r"\d+\.\d+(/.+)?")
MOST_SHRUNK = 2  # differing programs of a sweep whose cause is looked for

# What authors set to examine a sweep instead of judging a candidate by it.
SURVEY: ContextVar[Callable[[SweepRun, Sweep, int], None] | None]
SURVEY = ContextVar("survey", default=None)


@dataclass(frozen=True, slots=True)
class Case:
    """A program on which the candidate differs: what it should do, and what it does."""

    program: Program
    expected: Trace
    outcome: Trace | Crash

    @property
    def size(self) -> int:
        """How much there is to read in the program."""
        return len(json.dumps(self.program))

    def rule(self, spec: Sweep) -> str | None:
        """Return the rule that the candidate breaks here; None if it crashes, or breaks none."""
        if isinstance(self.outcome, Crash):
            return None
        found = difference(spec, self.expected, self.outcome)
        return spec.rule(self.program, found) if found is not None else None


@dataclass(frozen=True, slots=True)
class SweepRun:
    """What graders call as `sweep`: compares the candidate with the reference for one task."""

    candidate: Observer
    reference: Reference
    seed: int
    task: int
    rules: tuple[str, ...]  # of the criterion
    factor: int = 1  # plays this many times the programs
    failed_rules: Collection[str] = ()  # in other criteria of this run
    played: dict[str, tuple[Expected, Outcome]] = field(default_factory=dict)  # kept programs

    def __call__(self, spec: Sweep, *, programs: int) -> None:
        """Fail the criterion if the candidate differs in one of `programs` random programs.

        The programs of the corpus are played as well, and first.
        """
        if (survey := SURVEY.get()) is not None:
            Tally.made += 1
            survey(self, spec, programs)
            return
        count = programs * self.factor
        Tally.programs += count
        sides = Sides(spec, self.reference, self.candidate)
        played = self._programs(spec, count)
        results = self._results(sides, played[:-count], played[-count:])
        expected, outcomes = ([*one] for one in zip(*results, strict=True))
        Tally.made += len(expected) - expected.count(None)  # without those the rules leave open
        self._judge(sides, played, expected, outcomes)

    def _results(
        self, sides: Sides, kept: Sequence[Program], programs: Sequence[Program]
    ) -> list[tuple[Expected, Outcome]]:
        """Return what came of all programs; those of the corpus may have been played before.

        After one that hangs, or needs code that is not written, the others are left out.
        """
        known = self._played_once(sides, kept, kept[:1])
        decided = [outcome for expected, outcome in known if expected is not None]
        if any(isinstance(outcome, Crash) and outcome.is_final for outcome in decided):
            return known + [(None, None)] * len(programs)
        return [*known, *zip(*sides.play(programs), strict=True)]

    def kept(self, spec: Sweep, *rules: str) -> None:
        """Fail the criterion if the candidate differs in a program kept for one of these rules.

        By default the criterion's own. "2.4" stands for its places, such as "2.4/refresh", too.
        The rule that broke is the one that `spec` names, if it is one of the criterion's; otherwise
        the one for which the program is kept. If `spec` names a rule of another criterion, and most
        programs agree, then that criterion loses the points for it, not this one.
        """
        sides = Sides(spec, self.reference, self.candidate)
        wanted = {*(rules or self.rules)}
        every = [*self._kept_cases(sides, wanted)]
        cases = [(rule, case) for rule, case in every if {rule, split(rule)[0]} & wanted]
        Tally.made += len(cases)
        differing = [
            (case.size, rule, case)
            for rule, case in cases
            if sides.differ(case.expected, case.outcome)
        ]
        if not differing:
            return
        _, rule, case = min(differing, key=lambda found: found[0])
        small = case if isinstance(case.outcome, Crash) else _smaller(sides, case)
        broken = small.rule(spec)
        if broken is None or broken in self.rules:
            _fail(spec, small, broken or self._placed(rule))
        # Where most differ, too little shows that the rules of this task are kept.
        agreeing = sum(not sides.differ(case.expected, case.outcome) for _, case in every)
        _fail(spec, small, self._placed(rule), {broken} if 2 * agreeing >= len(every) else ())

    def _kept_cases(self, sides: Sides, wanted: Collection[str]) -> Iterator[tuple[str, Case]]:
        """Yield the decided programs that are kept for this task, each with its rule."""
        draw = self._draw
        kept = [(one.rule, draw.redrawn(sides.spec, name, one)) for name, one in self._corpus()]
        mine = [program for rule, program in kept if {rule, split(rule)[0]} & {*wanted}]
        played = self._played_once(sides, [program for _, program in kept], mine)
        for (rule, program), (expected, outcome) in zip(kept, played, strict=True):
            if expected is not None and outcome is not None:
                yield rule, Case(program, expected, outcome)

    def _placed(self, rule: str) -> str:
        """Return the criterion's own name of a rule, which may say the place."""
        return next((own for own in self.rules if split(own)[0] == rule), rule)

    def _played_once(
        self, sides: Sides, programs: Sequence[Program], mine: Sequence[Program]
    ) -> list[tuple[Expected, Outcome]]:
        """Return what came of the kept programs of the task; each is played once.

        The first criterion has all of them played. Those after a final crash are left to the
        criteria that need them.
        """

        def key(program: Program) -> str:
            return f"{sides.spec.probe} {json.dumps(program)}"

        begun = any(key(program) in self.played for program in programs)
        for batch in (mine,) if begun else (programs, mine):
            new = {k: p for p in batch if (k := key(p)) not in self.played}
            if new.keys() & {key(program) for program in mine}:
                for k, expected, outcome in zip(new, *sides.play([*new.values()]), strict=True):
                    if outcome is not None:
                        self.played[k] = expected, outcome
        return [self.played.get(key(program), (None, None)) for program in programs]

    def _programs(self, spec: Sweep, count: int) -> list[Program]:
        mine = [self._draw.redrawn(spec, *one) for one in self._corpus()]
        return mine + self._draw.programs(spec, self.task, count)

    def _corpus(self) -> list[tuple[str, Kept]]:
        """Return the programs kept for this task, with their names."""
        found = corpus(self.reference.exercise.grader_dir / "corpus")
        return [one for one in found if one[1].task == self.task]

    @property
    def _draw(self) -> Draw:
        return Draw(self.seed, self.reference.exercise.version)

    def _judge(
        self,
        sides: Sides,
        programs: Sequence[Program],
        expected: Sequence[Expected],
        outcomes: Sequence[Outcome],
    ) -> None:
        decided = [
            Case(program, due, outcome)
            for program, due, outcome in zip(programs, expected, outcomes, strict=True)
            if due is not None and outcome is not None
        ]
        cases = [case for case in decided if sides.differ(case.expected, case.outcome)]
        defined = len(expected) - expected.count(None)
        # With fewer that agree, too little shows how this task itself is solved.
        obscured = 2 * (len(decided) - len(cases)) < defined
        cases.sort(key=lambda case: case.size)
        charged = cases if obscured else [c for c in cases if self._charges(sides.spec, c)]
        for case in charged[: 1 if obscured else MOST_SHRUNK]:
            small = case if _is_final(case) else _smaller(sides, case)
            if obscured or self._charges(sides.spec, small):
                _fail(sides.spec, small, self._instead(sides.spec, small))
        named = {rule for c in cases if (rule := c.rule(sides.spec))}
        again = named & {*self.failed_rules}
        if again:
            Tally.left_out = costs_nothing_again(again)

    def _charges(self, spec: Sweep, case: Case) -> bool:
        """Whether the difference is of this task, and has cost nothing yet."""
        rule = case.rule(spec)
        if rule is None or not _NUMBERED.fullmatch(rule):
            return spec.task_of(case.program) == self.task
        return int(rule.partition(".")[0]) == self.task and rule not in self.failed_rules

    def _instead(self, spec: Sweep, case: Case) -> str | None:
        """Return the criterion's first rule if the one that broke belongs to a later task."""
        rule = case.rule(spec)
        later = rule and _NUMBERED.fullmatch(rule) and int(rule.partition(".")[0]) > self.task
        return self.rules[0] if later else None


def _is_final(case: Case) -> bool:
    return isinstance(case.outcome, Crash) and case.outcome.is_final


def _smaller(sides: Sides, case: Case) -> Case:
    with sides.shrinking() as first_differing:
        program, _ = shrink(sides.spec, case.program, first_differing)
    (expected,), (outcome,) = sides.play([program])
    if expected is None or outcome is None or not sides.differ(expected, outcome):
        return case  # the candidate does not do the same each time
    return Case(program, expected, outcome)


def _fail(
    spec: Sweep, case: Case, rule: str | None = None, causes: Collection[str] = ()
) -> NoReturn:
    given = "\n".join(spec.tell(case.program))
    if isinstance(case.outcome, Crash):
        error = case.outcome.error
        error.given = given
        raise error
    found = difference(spec, case.expected, case.outcome)
    assert found is not None
    rule = rule or spec.rule(case.program, found)
    if rule is None:
        raise GraderFault("the reference and the candidate differ in what no rule forbids")
    expected, observed = excerpts(spec, found)
    says = in_words(spec, found)
    if not _NUMBERED.fullmatch(rule):  # an exercise whose rules have no numbers yet
        raise Unmet(f"{rule}\nThe reference:\n{expected}", observed, given, says)
    raise Unmet(f"The reference:\n{expected}", observed, given, says, rule=rule, causes=causes)
