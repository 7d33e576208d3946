"""Compares what was graded with what an exercise promises; each difference is a finding."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from archprep.author import files
from archprep.author.proof import Examples, Finding, Kind, Outcome
from archprep.content.wrong_answers import WrongAnswer
from archprep.content.yaml_reader import display_path
from archprep.core.errors import ContentError
from archprep.core.model import CriterionResult, Exercise, Scorecard, State

K = TypeVar("K")
V = TypeVar("V")

_SHOWN = 240  # characters of an expectation or an observation
_TAIL = 12  # lines of pytest's output
_COLLECTED = (0, 1)  # pytest's codes: all passed; some failed


def of(
    exercise: Exercise, outcomes: Sequence[Outcome], wrong: Sequence[WrongAnswer]
) -> list[Finding]:
    """Everything that is not as it should be, most important first."""
    return list(_Verdicts(exercise, outcomes, wrong).all())


class _Verdicts:
    """One exercise, what was graded of it, and what that shows."""

    def __init__(
        self, exercise: Exercise, outcomes: Sequence[Outcome], wrong: Sequence[WrongAnswer]
    ) -> None:
        self._exercise = exercise
        self._outcomes = outcomes
        self._wrong = {w.name: w for w in wrong}
        self._graders = f"graders/{exercise.folder}"
        self._starter = f"exercises/{exercise.folder}/starter"

    def all(self) -> Iterator[Finding]:
        yield from self._faults()
        yield from self._grader_errors()
        yield from self._reference()
        yield from self._declarations()
        yield from self._examples()
        yield from self._starter_points()
        yield from self._stub_points()
        yield from self._right_answers()
        for outcome in self._of(Kind.WRONG):
            yield from self._wrong_answer(outcome)
        yield from self._never_lost()
        yield from self._forged()

    def _say(self, file: str, message: str) -> Finding:
        return Finding(self._exercise.id, file, message)

    def _of(self, kind: Kind) -> list[Outcome]:
        return [o for o in self._outcomes if o.job.kind is kind and o.fault is None]

    def _faults(self) -> Iterator[Finding]:
        for fault, names in _grouped((o.fault, o.job.name) for o in self._outcomes if o.fault):
            yield self._say("", f"{fault} (Met with {_some(names)}.)")

    def _grader_errors(self) -> Iterator[Finding]:
        faults = (
            (r.reason, (f"`{r.id}`", f"{_whose(o)} (seed {o.job.seed})"))
            for o in self._outcomes
            for card in o.cards
            for r in card.criteria
            if r.state is State.GRADER_ERROR
        )
        for reason, cases in _grouped(faults):
            yield self._say(
                self._graders,
                f"the grader of {_some([c for c, _ in cases])} fails, which is never the "
                f"candidate's fault: {reason}. Met with {_some([met for _, met in cases])}.",
            )

    def _reference(self) -> Iterator[Finding]:
        lost = (
            (r.id, (o.job.seed, r))
            for o in self._of(Kind.REFERENCE)
            for r in o.card.criteria
            if _is_lost(r)
        )
        for criterion, cases in _grouped(lost):
            _, result = cases[0]
            yield self._say(
                f"solutions/{self._exercise.folder}",
                f"the reference should score 100; it loses `{criterion}` with "
                f"{_seeds([s for s, _ in cases])}: {_why(result)}.",
            )

    def _right_answers(self) -> Iterator[Finding]:
        for outcome in self._of(Kind.RIGHT):
            for result in filter(_is_lost, outcome.card.criteria):
                yield self._say(
                    f"{self._graders}/right/{outcome.job.name}",
                    f"this answer is right and should score 100; with seed {outcome.job.seed} it "
                    f"loses `{result.id}`: {_why(result)}. Is that in the brief?",
                )

    def _declarations(self) -> Iterator[Finding]:
        """The ids are also read from the text, without running it: both must agree."""
        try:
            read = {c.id for c in files.declared(self._exercise)}
        except ContentError:
            return  # reported with the hints
        for criterion in self._criteria():
            if criterion not in read:
                yield self._say(
                    self._graders,
                    f"`{criterion}` is graded but cannot be read from the text: write it as a "
                    "plain `def` under @criterion in a test_*.py.",
                )

    def _criteria(self) -> list[str]:
        for outcome in self._of(Kind.REFERENCE):
            return [r.id for r in outcome.card.criteria]
        return []

    def _examples(self) -> Iterator[Finding]:
        for outcome in self._of(Kind.EXAMPLES):
            done = outcome.examples or Examples(-1, "")
            if outcome.job.name == "reference" and done.code != 0:
                yield self._say(
                    f"{self._starter}/{files.EXAMPLES}",
                    f"should pass with the reference in place; pytest says:\n{_tail(done)}",
                )
            elif done.code not in _COLLECTED:
                yield self._say(
                    f"{self._starter}/{files.EXAMPLES}",
                    "should run in a new workspace, though it may fail there; "
                    f"pytest says:\n{_tail(done)}",
                )

    def _starter_points(self) -> Iterator[Finding]:
        for outcome in self._of(Kind.STARTER):
            for result in _earned(outcome.card):
                yield self._say(
                    self._starter,
                    f"should score 0; it earns `{result.id}` ({result.points} points, seed "
                    f"{outcome.job.seed}). Let the criterion ask for behaviour that the starter "
                    "lacks.",
                )

    def _stub_points(self) -> Iterator[Finding]:
        earned = (
            (r.id, (o.job.name, o.job.seed)) for o in self._of(Kind.STUB) for r in _earned(o.card)
        )
        for criterion, cases in _grouped(earned):
            stubs = ", ".join(name for name, _ in cases)
            yield self._say(
                self._graders,
                f"`{criterion}` should need an implementation; the starter with constants for "
                f"function bodies earns it (constant: {stubs}; seed {cases[0][1]}). Compare "
                "something in it that only working code produces.",
            )

    def _wrong_answer(self, outcome: Outcome) -> Iterator[Finding]:
        wrong, seed = self._wrong[outcome.job.name], outcome.job.seed
        results = {r.id: r for r in outcome.card.criteria}
        should = tuple(results) if wrong.loses == "all" else wrong.loses
        file = display_path(wrong.path)
        for name in [n for n in should if n not in results]:
            hint = _instead(name, results)
            yield self._say(file, f"`loses` names `{name}`, which is no criterion.{hint}")
        for name in [n for n, r in results.items() if n in should and r.state is State.PASSED]:
            yield self._say(
                file,
                f"should lose `{name}`, but earns it (seed {seed}). Let the criterion look at "
                f"what is wrong here ({wrong.says.strip().rstrip('.')}).",
            )
        if more := [r for r in outcome.card.criteria if r.id not in should and _is_lost(r)]:
            lost = ", ".join(r.id for r in outcome.card.criteria if _is_lost(r))
            yield self._say(
                file,
                f"should lose only {_listed(should)}; it also loses {_listed(r.id for r in more)} "
                f"(seed {seed}). In `{more[0].id}`: {_why(more[0])}. If all this comes of the "
                f"defect, write `loses: [{lost}]`; if not, let each criterion judge its own "
                "behaviour alone.",
            )

    def _never_lost(self) -> Iterator[Finding]:
        """What loses everything, say by not being importable, shows nothing of one criterion."""
        runs = self._of(Kind.WRONG)
        if not runs and not any(o.job.kind is Kind.STUB for o in self._outcomes):
            return  # nothing was graded beyond a reference that fails
        lost = {
            r.id
            for o in runs
            if self._wrong[o.job.name].loses != "all"
            for r in o.card.criteria
            if _is_lost(r)
        }
        for criterion in self._criteria():
            if criterion not in lost:
                yield self._say(
                    f"{self._graders}/wrong",
                    f"no wrong answer loses `{criterion}`: add the near miss that it is there for.",
                )

    def _forged(self) -> Iterator[Finding]:
        cards = [card for o in self._of(Kind.FORGED) for card in o.cards]
        for criterion, seeds in _grouped((r.id, c.seed) for c in cards for r in _earned(c)):
            yield self._say(
                self._graders,
                f"`{criterion}` should not be earned by chance; of {len(cards)} sets of random "
                f"observations {len(seeds)} earned it (seed {seeds[0]}). Observe more random "
                "cases, or ask for calls of a judge-side fake.",
            )


def _whose(outcome: Outcome) -> str:
    kind, name = outcome.job.kind, outcome.job.name
    if kind is Kind.STUB:
        return f"the stub {name}"
    return f"wrong/{name}.yaml" if kind is Kind.WRONG else name


def _grouped(pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()


def _is_lost(result: CriterionResult) -> bool:
    """A fault of the grader's is a finding of its own."""
    return result.state not in (State.PASSED, State.GRADER_ERROR)


def _earned(card: Scorecard) -> list[CriterionResult]:
    return [r for r in card.criteria if r.state is State.PASSED]


def _why(result: CriterionResult) -> str:
    difference = result.evidence.difference or ""
    parts = [("expected", result.expected), ("observed", difference or result.observed)]
    if result.evidence.given:
        parts.append(("given", result.evidence.given))
    return "; ".join(f"{label}: {_short(text)}" for label, text in parts if text)


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _instead(name: str, known: Iterable[str]) -> str:
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


def _tail(done: Examples) -> str:
    return "\n".join(f"    {line}" for line in done.output.strip().splitlines()[-_TAIL:])
