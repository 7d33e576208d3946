"""Prints a proof: a summary of each exercise and its findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archprep.author import form_checks
from archprep.author.form_checks import MOST_GRADER_LINES, FormChecks
from archprep.author.model import ExerciseProof, Extent, Finding, JobKind, Proof, Survey
from archprep.author.sizes import LEAST_STATED, Sizes
from archprep.core.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.author.mutation import Mutation

_INDENT = "  "
_PROVEN = {
    Extent.SAMPLE: "proven by a sample",
    Extent.FULL: "proven",
    Extent.RECEIPT: "proven before",
}
_SINGULAR_AND_PLURAL = {
    JobKind.REFERENCE: ("reference with 1 seed", "reference with {} seeds"),
    JobKind.RIGHT: ("1 other right answer", "{} other right answers"),
    JobKind.WRONG: ("1 wrong answer", "{} wrong answers"),
    JobKind.STUB: ("1 stub", "{} stubs"),
}


def print_proof(proof: Proof, console: Console | None = None) -> Exit:
    """Print what was proven and what was found; return the exit code."""
    from rich.console import Console
    from rich.text import Text

    out = console or Console(highlight=False, markup=False, emoji=False)
    for exercise_proof in proof.exercises:
        _print_exercise(exercise_proof, out)
    out.print(Text(_total(proof), "bold"))
    return proof.exit_code


def _print_exercise(proof: ExerciseProof, out: Console) -> None:
    from rich.text import Text

    style = "green" if proof.sound else "red"
    title = f"{proof.exercise.id} {proof.exercise.title}: "
    out.print(Text.assemble((title, "bold"), (_verdict(proof), style)))
    for line in _lines(_table(proof), out):
        out.print(Text(line, "dim"), soft_wrap=True)
    for finding in proof.findings:
        _print_finding(finding, out)


def _lines(rows: list[tuple[str, str]], out: Console) -> Iterator[str]:
    """Return the rows of a table, wrapped where somebody reads them on a terminal."""
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        start = f"{_INDENT}{name:{width}}  " if width else _INDENT
        lines = _wrapped(text, out.width - len(start)) if out.is_terminal else [text]
        yield start + f"\n{' ' * len(start)}".join(lines)


def _print_finding(finding: Finding, out: Console) -> None:
    from rich.text import Text

    # Where another program reads the output, a finding stays on one line.
    lines = _wrapped(str(finding), out.width - len(_INDENT)) if out.is_terminal else [str(finding)]
    out.print(Text("- " + f"\n{_INDENT}".join(lines)), soft_wrap=True)


def print_mutation(mutation: Mutation, console: Console | None = None) -> Exit:
    """Print the mutants that survived, what else was found, and a summary; return the exit code."""
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.text import Text

    out = console or Console(highlight=False, markup=False, emoji=False)
    verdicts, exercise = mutation.verdicts, mutation.verdicts.drawn.exercise
    for mutant in verdicts.survived:
        diff = mutant.diff(verdicts.drawn.reference)
        shown = Syntax(diff, "diff", theme="ansi_dark", background_color="default")
        out.print(shown if out.is_terminal else Text(diff), soft_wrap=True)
        out.print()
    for finding in (*mutation.faults, *verdicts.list_findings()):
        _print_finding(finding, out)
    graded = len(verdicts.drawn.mutants)
    which = f"{graded} of {verdicts.drawn.every} mutants of {exercise.id}"
    out.print(Text(f"{which}: {verdicts.summary()} (seed {mutation.seed}).", "bold"))
    return Exit.INTERNAL if mutation.findings else Exit.PASSED


def _wrapped(finding: str, width: int) -> list[str]:
    import textwrap

    return [
        wrapped
        for line in finding.splitlines()
        for wrapped in textwrap.wrap(line, width, break_on_hyphens=False, break_long_words=False)
    ]


def _verdict(proof: ExerciseProof) -> str:
    count = len(proof.findings)
    if not count:
        return _PROVEN[proof.extent]
    return "1 finding" if count == 1 else f"{count} findings"


def _table(proof: ExerciseProof) -> list[tuple[str, str]]:
    """Return what was proven, one line for each kind of evidence."""
    if proof.extent is Extent.RECEIPT:
        text = f"nothing has changed since a full proof, which took {proof.seconds:g} s"
        return [("", text)]
    rows = [
        ("rules", _rules(proof)),
        ("criteria", _criteria(proof)),
        ("graded", _graded(proof)),
        ("sweep", "; ".join(map(_survey, proof.surveys))),
        ("mutants", _mutants(proof)),
        ("minutes", _minutes(proof)),
    ]
    return [(name, text) for name, text in rows if text]


def _rules(proof: ExerciseProof) -> str:
    every = form_checks.names(FormChecks(proof.exercise).rules.values())
    if not every:
        return "not numbered, so neither sizes nor mutants are checked"
    graded = {name for c in proof.criteria for name in c.rules}
    named = sum(bool({name, name.partition("/")[0]} & graded) for name in every)
    text = f"{len(every)}, {named} named by criteria"
    broken = len(proof.broken & {*every})
    return text + (f", {broken} broken by wrong answers" if proof.extent is Extent.FULL else "")


def _criteria(proof: ExerciseProof) -> str:
    sweeps = [c for c in proof.criteria if c.programs]
    points = f", {sum(c.points for c in sweeps)} points of them by sweeps" if sweeps else ""
    most = max((c.points for c in proof.criteria), default=0)
    lines = Sizes(proof.exercise).grader_lines
    warning = f" (more than {MOST_GRADER_LINES})" if lines > MOST_GRADER_LINES else ""
    return (
        f"{len(proof.criteria)}, at most {most} points each{points}; "
        f"{lines:,} lines of code{warning}"
    )


def _graded(proof: ExerciseProof) -> str:
    items = []
    for kind, (singular, plural) in _SINGULAR_AND_PLURAL.items():
        if count := proof.counts.get(kind, 0):
            items.append(singular if count == 1 else plural.format(count))
    if proof.counts.get(JobKind.REFERENCE) and not proof.counts.get(JobKind.STUB):
        items.append("the rest needs a reference that scores 100")
    return f"{', '.join(items)}; {proof.seconds:g} s"


def _survey(survey: Survey) -> str:
    verdict = survey.verdict
    share = verdict.left_out / verdict.programs if verdict.programs else 0
    text = f"task {survey.task}: {verdict.programs} programs, {share:.0%} left out"
    if verdict.rules:
        least = min(verdict.rules.values()) / verdict.programs
        text += f", rules exercised: {len(verdict.rules)} (each by {least:.0%} or more)"
    return text


def _mutants(proof: ExerciseProof) -> str:
    if proof.draft:
        return "left out of a draft, like right answers, strangers and limits on size"
    if proof.mutants is None:
        return ""
    drawn = proof.mutants.drawn
    return f"{len(drawn.mutants)} of {drawn.every} graded: {proof.mutants.summary()}"


def _minutes(proof: ExerciseProof) -> str:
    """Return the minutes stated and computed, of the core and of all tasks."""
    sizes, exercise = Sizes(proof.exercise), proof.exercise
    share = proof.mutants.share(exercise.core) if proof.mutants and exercise.core else None
    parts = [_compared("all", exercise.minutes, sizes.minutes())]
    if exercise.core:
        computed = None if share is None else sizes.minutes(share)
        parts.insert(0, _compared("core", exercise.core_minutes, computed))
    by = f"{sizes.brief_words:,} words, {sizes.reference_lines} lines of the reference"
    return f"{'; '.join(parts)} ({by})"


def _compared(what: str, stated: int, computed: int | None) -> str:
    if computed is None:
        return f"{what} {stated} stated, computed by --full"
    warning = " (too few stated)" if stated < LEAST_STATED * computed else ""
    return f"{what} {stated} stated, {computed} computed{warning}"


def _total(proof: Proof) -> str:
    unsound = sum(not p.sound for p in proof.exercises)
    result = f"{unsound} of {len(proof.exercises)} not proven" if unsound else "All proven"
    return f"{result} (seed {proof.seed}, isolation level {proof.isolation}, {proof.seconds:g} s)."
