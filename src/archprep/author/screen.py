"""The proof on a terminal: one line for each exercise, then what is to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archprep.author.proof import Kind, Proof, Proven
from archprep.core.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

_INDENT = "  "
_NEWLINE = f"\n{_INDENT}"
_ONE_AND_MORE = {
    Kind.REFERENCE: ("reference with 1 seed", "reference with {} seeds"),
    Kind.RIGHT: ("1 other right answer", "{} other right answers"),
    Kind.WRONG: ("1 wrong answer", "{} wrong answers"),
    Kind.STUB: ("1 stub", "{} stubs"),
}


def print_proof(proof: Proof, console: Console | None = None) -> Exit:
    """Print what was proven and what was found; return the exit code."""
    from rich.console import Console
    from rich.text import Text

    out = console or Console(highlight=False, markup=False, emoji=False)
    for proven in proof.exercises:
        style = "green" if proven.sound else "red"
        title = f"{proven.exercise.id} {proven.exercise.title}: "
        out.print(Text.assemble((title, "bold"), (_verdict(proven), style)))
        out.print(Text(f"{_INDENT}{_done(proven)}", "dim"), soft_wrap=True)
        for finding in proven.findings:
            # A finding stays one line where another program reads it.
            lines = _wrapped(str(finding), out.width) if out.is_terminal else [str(finding)]
            out.print(Text(f"- {_NEWLINE.join(lines)}"), soft_wrap=True)
    out.print(Text(_total(proof), "bold"))
    return proof.exit_code


def _wrapped(finding: str, width: int) -> list[str]:
    import textwrap

    return [
        part
        for line in finding.splitlines()
        for part in textwrap.wrap(
            line, width - len(_INDENT), break_on_hyphens=False, break_long_words=False
        )
    ]


def _verdict(proven: Proven) -> str:
    count = len(proven.findings)
    if not count:
        return "proven"
    return "1 finding" if count == 1 else f"{count} findings"


def _done(proven: Proven) -> str:
    parts = [f"{proven.criteria} criteria"]
    for kind, (one, more) in _ONE_AND_MORE.items():
        if count := proven.counts.get(kind, 0):
            parts.append(one if count == 1 else more.format(count))
    if proven.counts.get(Kind.REFERENCE) and not proven.counts.get(Kind.STUB):
        parts.append("the rest waits for a reference that scores 100")
    return ", ".join(parts)


def _total(proof: Proof) -> str:
    unsound = sum(not p.sound for p in proof.exercises)
    said = f"{unsound} of {len(proof.exercises)} not proven" if unsound else "All proven"
    return f"{said} (seed {proof.seed}, isolation level {proof.isolation}, {proof.seconds:g} s)."
