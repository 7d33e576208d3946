"""Compares results with what an exercise promises; each difference is a finding."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

from archprep.author import file_checks, sweep_survey
from archprep.author.model import Finding, JobKind, JobResult, PytestResult
from archprep.content.wrong_answers import WrongAnswer
from archprep.content.yaml_reader import display_path
from archprep.core.errors import ContentError
from archprep.core.model import CriterionResult, Exercise, Scorecard, State

K = TypeVar("K")
V = TypeVar("V")

_MAX_SHOWN = 240  # characters of an expectation or an observation
_TAIL_LINES = 12  # of pytest's output
_COLLECTED = (0, 1)  # pytest's exit codes: all passed; some failed


def find(
    exercise: Exercise,
    results: Sequence[JobResult],
    wrong: Sequence[WrongAnswer],
    *,
    complete: bool,
) -> list[Finding]:
    """Return every difference between the results and what they should be, by importance.

    `complete`: all wrong answers were graded, so a criterion that none of them loses is a finding.
    """
    finder = _Finder(exercise, results, wrong)
    return [*finder.all(), *(finder.never_lost() if complete else ())]


class _Finder:
    def __init__(
        self, exercise: Exercise, results: Sequence[JobResult], wrong: Sequence[WrongAnswer]
    ) -> None:
        self._exercise = exercise
        self._results = results
        self._wrong = {w.name: w for w in wrong}
        self._graders = f"graders/{exercise.folder}"
        self._starter = f"exercises/{exercise.folder}/starter"

    def all(self) -> Iterator[Finding]:
        yield from self._errors()
        yield from self._grader_errors()
        yield from self._reference()
        yield from self._undeclared()
        yield from self._examples()
        yield from self._starter_points()
        yield from self._stub_points()
        yield from self._right_answers()
        for result in self._of(JobKind.WRONG):
            yield from self._wrong_answer(result)
        yield from self._forged_points()
        for result in self._of(JobKind.SWEEP):
            if result.survey:
                yield from sweep_survey.findings(self._exercise, result.survey)

    def _finding(self, file: str, message: str) -> Finding:
        return Finding(self._exercise.id, file, message)

    def _of(self, kind: JobKind) -> list[JobResult]:
        return [r for r in self._results if r.job.kind is kind and r.error is None]

    def _errors(self) -> Iterator[Finding]:
        for error, names in _grouped((r.error, r.job.name) for r in self._results if r.error):
            yield self._finding("", f"{error} (Seen with {_some(names)}.)")

    def _grader_errors(self) -> Iterator[Finding]:
        errors = (
            (c.reason, (f"`{c.id}`", f"{_answer_name(result)} (seed {result.job.seed})"))
            for result in self._results
            for card in result.cards
            for c in card.criteria
            if c.state is State.GRADER_ERROR
        )
        for reason, cases in _grouped(errors):
            yield self._finding(
                self._graders,
                f"the grader of {_some([c for c, _ in cases])} fails, whatever the candidate's "
                f"code did: {reason}. Seen with {_some([seen for _, seen in cases])}.",
            )

    def _reference(self) -> Iterator[Finding]:
        lost = (
            (c.id, (result.job.seed, c))
            for result in self._of(JobKind.REFERENCE)
            for c in result.card.criteria
            if c.lost
        )
        for criterion, cases in _grouped(lost):
            yield self._finding(
                f"solutions/{self._exercise.folder}",
                f"the reference should score 100, but loses `{criterion}` with "
                f"{_seeds([seed for seed, _ in cases])}: {_explanation(cases[0][1])}.",
            )

    def _right_answers(self) -> Iterator[Finding]:
        for result in self._of(JobKind.RIGHT):
            for criterion in (c for c in result.card.criteria if c.lost):
                yield self._finding(
                    f"{self._graders}/right/{result.job.name}",
                    f"this right answer should score 100, but loses `{criterion.id}` with seed "
                    f"{result.job.seed}: {_explanation(criterion)}. Does the brief require that?",
                )

    def _undeclared(self) -> Iterator[Finding]:
        """Commands parse the criteria without running them and must find the same ones."""
        try:
            declared = {c.id for c in file_checks.declared_criteria(self._exercise)}
        except ContentError:
            return  # file_checks reports it
        for criterion in self._criteria():
            if criterion not in declared:
                yield self._finding(
                    self._graders,
                    f"`{criterion}` is graded but cannot be read from the source: write it as a "
                    "plain `def` under @criterion in a test_*.py.",
                )

    def _criteria(self) -> list[str]:
        for result in self._of(JobKind.REFERENCE):
            return [c.id for c in result.card.criteria]
        return []

    def _examples(self) -> Iterator[Finding]:
        file = f"{self._starter}/{file_checks.EXAMPLES}"
        for result in self._of(JobKind.EXAMPLES):
            done = result.examples or PytestResult(-1, "")
            if result.job.name == "reference" and done.code != 0:
                yield self._finding(
                    file, f"should pass with the reference, but pytest reports:\n{_tail(done)}"
                )
            elif done.code not in _COLLECTED:
                yield self._finding(
                    file,
                    "should run in a new workspace (failing there is fine), but pytest reports:\n"
                    f"{_tail(done)}",
                )

    def _starter_points(self) -> Iterator[Finding]:
        for result in self._of(JobKind.STARTER):
            for criterion in _earned(result.card):
                yield self._finding(
                    self._starter,
                    f"should score 0, but earns `{criterion.id}` ({criterion.points} points, seed "
                    f"{result.job.seed}). Make the criterion require behaviour that the starter "
                    "lacks.",
                )

    def _stub_points(self) -> Iterator[Finding]:
        earned = (
            (c.id, (result.job.name, result.job.seed))
            for result in self._of(JobKind.STUB)
            for c in _earned(result.card)
        )
        for criterion, cases in _grouped(earned):
            constants = ", ".join(name for name, _ in cases)
            yield self._finding(
                self._graders,
                f"`{criterion}` should require an implementation, but functions that return a "
                f"constant earn it (constant: {constants}; seed {cases[0][1]}). Compare "
                "something that only working code produces.",
            )

    def _wrong_answer(self, result: JobResult) -> Iterator[Finding]:
        wrong, seed = self._wrong[result.job.name], result.job.seed
        criteria = {c.id: c for c in result.card.criteria}
        expected = tuple(criteria) if wrong.loses == "all" else wrong.loses
        file = display_path(wrong.path)
        for name in [n for n in expected if n not in criteria]:
            tip = _suggestion(name, criteria)
            yield self._finding(file, f"`loses` names `{name}`, which is not a criterion.{tip}")
        for name in [n for n, c in criteria.items() if n in expected and c.state is State.PASSED]:
            yield self._finding(
                file,
                f"should lose `{name}`, but earns it (seed {seed}). Make the criterion observe "
                f"what is wrong here ({wrong.says.strip().rstrip('.')}).",
            )
        yield from self._loses_more(result, expected, file)
        yield from self._corpus(result, file)

    def _corpus(self, result: JobResult, file: str) -> Iterator[Finding]:
        """A kept program with the name of a wrong answer must show what is wrong with it."""
        kept = self._kept.get(result.job.name)
        lost = [c for c in result.card.criteria if c.lost]
        shown = any(c.programs or (c.broken and c.broken.rule == kept) for c in lost)
        if kept is not None and not shown:
            yield self._finding(
                file,
                f"corpus/{result.job.name}.json keeps a program that shows it, but no sweep is "
                f"lost and rule {kept} holds (seed {result.job.seed}). Keep another program.",
            )

    @cached_property
    def _kept(self) -> dict[str, str]:
        """The rule of each program of the corpus, by its name."""
        from archprep.grading.toolkit.sweep_corpus import corpus

        found = corpus(self._exercise.grader_dir / "corpus")
        return {name: one.rule.partition("/")[0] for name, one in found}

    def _loses_more(
        self, result: JobResult, expected: tuple[str, ...], file: str
    ) -> Iterator[Finding]:
        lost = [c for c in result.card.criteria if c.lost]
        # A sweep may meet any defect: which ones it must meet is for `loses` to say.
        charged = [c.id for c in lost if not c.programs]
        if more := [c for c in lost if c.id not in expected and not c.programs]:
            yield self._finding(
                file,
                f"should lose only {_listed(expected)}, but also loses "
                f"{_listed(c.id for c in more)} (seed {result.job.seed}). "
                f"`{more[0].id}`: {_explanation(more[0])}. If the defect causes all of this, write "
                f"`loses: [{', '.join(charged)}]`; otherwise make each criterion "
                "depend on its own behaviour only.",
            )

    def never_lost(self) -> Iterator[Finding]:
        results = self._of(JobKind.WRONG)
        if not results and not any(r.job.kind is JobKind.STUB for r in self._results):
            return  # only a failing reference was graded
        lost = {
            criterion.id
            for result in results
            # Losing everything, for example because of a failing import, shows nothing about one.
            if self._wrong[result.job.name].loses != "all"
            for criterion in result.card.criteria
            if criterion.lost
        }
        for criterion in self._criteria():
            if criterion not in lost:
                yield self._finding(
                    f"{self._graders}/wrong",
                    f"no wrong answer loses `{criterion}`: add a near miss that only this "
                    "criterion detects.",
                )

    def _forged_points(self) -> Iterator[Finding]:
        cards = [card for result in self._of(JobKind.FORGED) for card in result.cards]
        for criterion, seeds in _grouped(
            (c.id, card.seed) for card in cards for c in _earned(card)
        ):
            yield self._finding(
                self._graders,
                f"`{criterion}` should not be earned by chance, but {len(seeds)} of {len(cards)} "
                f"sets of random observations earned it (seed {seeds[0]}). Observe more random "
                "cases, or require calls of a judge-side fake.",
            )


def _answer_name(result: JobResult) -> str:
    kind, name = result.job.kind, result.job.name
    if kind is JobKind.STUB:
        return f"the stub {name}"
    return f"wrong/{name}.yaml" if kind is JobKind.WRONG else name


def _grouped(pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()


def _earned(card: Scorecard) -> list[CriterionResult]:
    return [c for c in card.criteria if c.state is State.PASSED]


def _explanation(criterion: CriterionResult) -> str:
    difference = criterion.evidence.difference or ""
    facts = [("expected", criterion.expected), ("observed", difference or criterion.observed)]
    if criterion.evidence.given:
        facts.append(("given", criterion.evidence.given))
    return "; ".join(f"{label}: {_shortened(text)}" for label, text in facts if text)


def _shortened(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]} …"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _suggestion(name: str, known: Iterable[str]) -> str:
    if name == "all":
        return " Write `loses: all`, without brackets, for every criterion."
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""


def _seeds(seeds: list[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def _some(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - 3} more" if len(unique) > 3 else ""
    return ", ".join(unique[:3]) + more


def _tail(done: PytestResult) -> str:
    return "\n".join(f"    {line}" for line in done.output.strip().splitlines()[-_TAIL_LINES:])
