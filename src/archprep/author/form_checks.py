"""Checks an exercise with numbered rules: its size, and that every rule is graded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from archprep.author.model import Finding, JobKind, JobResult
from archprep.author.sizes import Sizes, words
from archprep.content import criteria, exercise_files, rules
from archprep.content.rules import Rule
from archprep.content.wrong_answers import WrongAnswer
from archprep.content.yaml_reader import display_path
from archprep.core.model import CriterionResult, Exercise

MOST_TASKS = 4
MOST_MINUTES = 150
MOST_CORE_MINUTES = 60
MOST_WORDS = 1300  # of a brief
MOST_RULES = 10  # of a task
MOST_RULE_WORDS = 40
MOST_POINTS = 8  # of a criterion
MOST_GRADER_LINES = 700  # with more, a warning
SWEEP_SHARE = (0.10, 0.25)  # of the points of its task
LEAST_RIGHT = 2  # right answers of other designs


def names(every: Iterable[Rule]) -> list[str]:
    """Return each rule as graders name it: once for each place in which it holds."""
    return [
        name
        for rule in every
        for name in ([f"{rule.id}/{place}" for place in rule.places] or [rule.id])
    ]


def broken(results: Iterable[JobResult], wrong: Iterable[WrongAnswer]) -> set[str]:
    """Return the rules that wrong answers break: as they declare, or as grading them showed."""
    found = {name for answer in wrong for name in answer.rules}
    for result in results:
        if result.job.kind is JobKind.WRONG:
            found |= set().union(*(_broken_by(c) for card in result.cards for c in card.criteria))
    return found


def _broken_by(criterion: CriterionResult) -> set[str]:
    if criterion.broken is None:
        return set()
    place = f"/{criterion.broken.place}" if criterion.broken.place else ""
    return {criterion.broken.rule + place}


@dataclass(frozen=True)
class FormChecks:
    """The findings about one exercise; ContentError where its files cannot be read."""

    exercise: Exercise

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The numbered rules of the brief; without any, this form is not asked for."""
        return rules.load(self.exercise)

    def size(self) -> Iterator[Finding]:
        """Yield what is too large for an interview."""
        if not self.rules:
            return
        exercise, sizes = self.exercise, Sizes(self.exercise)
        manifest, brief = (
            f"exercises/{exercise.folder}/{n}" for n in ("exercise.yaml", "brief.md")
        )
        graders = f"graders/{exercise.folder}"
        tasks = Counter(rule.task for rule in self.rules.values())
        yield from self._more(manifest, "tasks", len(exercise.tasks), MOST_TASKS)
        yield from self._more(manifest, "minutes", exercise.minutes, MOST_MINUTES)
        yield from self._core(manifest)
        yield from self._more(brief, "words", sizes.brief_words, MOST_WORDS)
        for task, count in sorted(tasks.items()):
            yield from self._more(brief, f"rules in task {task}", count, MOST_RULES)
        for rule in self.rules.values():
            yield from self._more(
                brief, f"words in rule {rule.id}", words(rule.text), MOST_RULE_WORDS
            )
        for criterion in criteria.declared(exercise):
            what = f"points for `{criterion.id}`"
            yield from self._more(graders, what, criterion.points, MOST_POINTS)

    def _core(self, manifest: str) -> Iterator[Finding]:
        if not self.exercise.core:
            message = "names no `core`: the first tasks, which fit an interview of an hour."
            yield Finding(self.exercise.id, manifest, message)
            return
        count = self.exercise.core_minutes
        yield from self._more(manifest, "minutes in its core", count, MOST_CORE_MINUTES)

    def _more(self, file: str, what: str, count: int, most: int) -> Iterator[Finding]:
        if count > most:
            message = f"has {count:,} {what}, at most {most:,} are allowed."
            yield Finding(self.exercise.id, file, message)

    def ungraded(self) -> Iterator[Finding]:
        """Yield the rules that no criterion and no program of the corpus names."""
        from archprep.grading.toolkit.sweep_corpus import corpus

        kept = (one.rule for _, one in corpus(self.exercise.grader_dir / "corpus"))
        named = {*kept, *(r for c in criteria.declared(self.exercise) for r in c.rules)}
        for name in names(self.rules.values()):
            if not named & {name, name.partition("/")[0]}:
                yield self._rule(
                    name, "no criterion and no program of the corpus names it. Grade it"
                )

    def unbroken(self, found: set[str]) -> Iterator[Finding]:
        """Yield the rules that no wrong answer breaks."""
        for name in names(self.rules.values()):
            if name not in found:
                yield self._rule(name, "no wrong answer breaks it. Add a near miss that does")

    def _rule(self, name: str, problem: str) -> Finding:
        rule = self.rules[name.partition("/")[0]]
        message = f"rule {name} ({rule.text}): {problem}, or delete the rule."
        return Finding(self.exercise.id, f"exercises/{self.exercise.folder}/brief.md", message)

    def sweeps(self, graded: Sequence[CriterionResult]) -> Iterator[Finding]:
        """Yield the tasks whose sweep is missing, or worth too little or too much."""
        for task in self.exercise.tasks if self.rules else ():
            mine = [c for c in graded if c.task == task.number]
            points, swept = (sum(c.points for c in some) for some in (mine, _sweeps(mine)))
            least, most = (share * points for share in SWEEP_SHARE)
            if not least <= swept <= most:
                message = (
                    f"the sweep of task {task.number} is worth {swept} of {points} points; it "
                    f"should be {SWEEP_SHARE[0]:.0%} to {SWEEP_SHARE[1]:.0%} of them."
                )
                yield Finding(self.exercise.id, f"graders/{self.exercise.folder}", message)

    def right_answers(self) -> Iterator[Finding]:
        """Yield a finding if there are too few right answers of other designs."""
        count = len(exercise_files.right_answers(self.exercise))
        if self.rules and count < LEAST_RIGHT:
            message = f"has {count} right answers of other designs, needs at least {LEAST_RIGHT}."
            yield Finding(self.exercise.id, f"graders/{self.exercise.folder}/right", message)

    def declared_rules(self, wrong: Iterable[WrongAnswer]) -> Iterator[Finding]:
        """Yield the rules that a wrong answer names, but the brief does not have."""
        last = max(task.number for task in self.exercise.tasks)
        for answer in wrong:
            for problem in rules.unknown(self.rules, answer.rules, last):
                message = f"`rules`: {problem}."
                yield Finding(self.exercise.id, display_path(answer.path), message)


def _sweeps(graded: Iterable[CriterionResult]) -> list[CriterionResult]:
    return [c for c in graded if c.programs]
