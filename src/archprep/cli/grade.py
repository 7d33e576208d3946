"""The commands that grade what candidates have handed in: `grade` and `regrade`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from archprep.cli.interview import PANEL
from archprep.core import terminal
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.interview.batch import Ended, Standing
    from archprep.interview.model import Result
    from archprep.interview.regrading import Change, Regraded

_NAME = 40  # characters of a name
_PROBLEM = 70  # and of a problem, in the table; the pages have it in full
_SHOWN_CHANGES = 200

Jobs = Annotated[
    int | None, typer.Option(help="Processes at a time; default: one a core.", metavar="N")
]
Level = Annotated[
    str | None,
    typer.Option(
        "--isolation",
        help="A is required unless you say D: only for code that you trust.",
        metavar="A|D",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=PANEL, epilog="Example: archprep grade submissions --out results")(
        grade
    )
    app.command(rich_help_panel=PANEL, epilog="Example: archprep regrade results --exercise q3")(
        regrade
    )


def grade(
    submissions: Annotated[
        Path,
        typer.Argument(help="The folder with a zip or folder for each.", metavar="SUBMISSIONS"),
    ],
    *,
    out: Annotated[
        Path, typer.Option(help="The folder of results.", metavar="FOLDER", show_default=True)
    ] = Path("results"),
    jobs: Jobs = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides every input; default: drawn.", metavar="S")
    ] = None,
    isolation: Level = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: what is graded already is kept.")
    ] = False,
) -> None:
    """Grade a folder of submissions. Whatever the scores are, the exit code is 0."""
    from archprep.interview import batch

    with Display() as display, _resumable():
        ended = batch.grade(
            submissions, out, jobs=jobs, seed=seed, level=isolation, resume=resume, progress=display
        )
    show(ended, out, terminal.console())
    _say_faults(ended.faults)
    raise typer.Exit(ended.exit_code)


def regrade(
    results: Annotated[Path, typer.Argument(help="A folder of results.", metavar="RESULTS")],
    *,
    exercise: Annotated[
        str | None, typer.Option(help="Only this exercise, e.g. q3.", metavar="ID")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    jobs: Jobs = None,
    isolation: Level = None,
) -> None:
    """Grade what is kept again, after a grader was mended; show who changes, then write."""
    from archprep.interview import regrading

    with Display() as display:

        def confirm(changes: Sequence[Change]) -> bool:
            display.clear()
            show_changes(changes, terminal.console())
            return yes or _agreed()

        done = regrading.regrade(
            results, exercise, confirm=confirm, jobs=jobs, level=isolation, progress=display
        )
    terminal.console().print(_regraded(done, results), soft_wrap=True)
    _say_faults(done.faults)
    raise typer.Exit(done.exit_code)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was written: nobody can be asked here.", tip="--yes writes without asking."
        )
    return typer.confirm("Write this? The old results are kept.", default=False)


class _resumable:  # noqa: N801 - reads as what it is used as
    """Say how to go on, when somebody interrupts."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind in (KeyboardInterrupt, SystemExit):
            terminal.say("Stopped. What is graded is kept; --resume goes on.")


class Display:
    """How far a batch is: one line on a terminal, else a line for each part that is done."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, standing: Standing) -> None:
        """Show it."""
        said = _line(standing.said)
        if not self._terminal:
            if said:
                terminal.say(f"{standing.done}/{standing.total} {said}")
            return
        line = f"{_counts(standing)}  {said}" if said else _counts(standing)
        sys.stderr.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def _counts(standing: Standing) -> str:
    failed = f", {standing.failed} failed" if standing.failed else ""
    left = "" if standing.seconds_left is None else f", {_duration(standing.seconds_left)} left"
    return f"{standing.done}/{standing.total} done, {standing.running} running{failed}{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _line(text: str, limit: int = 200) -> str:
    """One line, whatever a candidate has called themselves."""
    return sanitize(" ".join(text.split()), limit)


# -- the table ---------------------------------------------------------------------------------


def show(ended: Ended, out: Path, console: Console) -> None:
    """Print each candidate's scores and flags, and where the rest is."""
    from rich.table import Table
    from rich.text import Text

    exercises = _exercises(ended.results)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("candidate", overflow="fold")
    for name in exercises:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("flags", overflow="fold")
    for result in ended.results:
        scores = [Text(score) for score in _scores(result, exercises)]
        who = Text(_line(result.received.name, _NAME))
        table.add_row(who, *scores, Text(_remarks(result)))
    console.print(table)
    console.print()
    for sentence in _closing(ended, out):
        console.print(Text(sentence), soft_wrap=True)


def _exercises(results: Sequence[Result]) -> list[str]:
    found = {graded.exercise for result in results for graded in result.graded}
    return sorted(found, key=lambda name: (len(name), name))


def _scores(result: Result, exercises: Sequence[str]) -> list[str]:
    found = {graded.exercise: graded for graded in result.graded}
    cards = [graded and graded.scorecard for graded in map(found.get, exercises)]
    shown = [str(card.score) if card else None for card in cards]
    return [
        score or ("-" if name not in found else "?")
        for name, score in zip(exercises, shown, strict=True)
    ]


def _remarks(result: Result) -> str:
    """Why there is no score, and what was noticed."""
    received = result.received
    problems = [f"{g.exercise}: {g.problem}" for g in result.graded if g.problem]
    superseded = [f"replaces {name}" for name in received.superseded]
    found = [received.problem, *problems, *received.flags, *superseded]
    # The first sentence of each: the pages have all of them.
    return "; ".join(_line(text.partition(". ")[0], _PROBLEM) for text in found if text)


def _closing(ended: Ended, out: Path) -> list[str]:
    batch = ended.batch
    isolation = f"isolation level {batch.isolation.level}"
    count = len(ended.results)
    candidates = "1 candidate" if count == 1 else f"{count} candidates"
    return [
        f"{candidates}, {ended.graded} graded now (seed {batch.seed}, {isolation}).",
        f"Open {sanitize(str(out / 'index.html'), 300)}",
    ]


def _say_faults(faults: Sequence[str]) -> None:
    if not faults:
        return
    terminal.say(f"{len(faults)} could not be graded, which is not the candidates' fault:")
    for fault in faults[:_SHOWN_CHANGES]:
        terminal.say(f"  {_line(fault, 400)}")


# -- changes -----------------------------------------------------------------------------------


def show_changes(changes: Sequence[Change], console: Console) -> None:
    """Print who gets another score, and from what to what."""
    from rich.table import Table
    from rich.text import Text

    moved = [change for change in changes if change.in_score]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("candidate", "exercise", "before", "after", "criteria"):
        table.add_column(title, overflow="fold")
    for change in moved[:_SHOWN_CHANGES]:
        cells = [change.exercise, change.before, change.after, ", ".join(change.criteria)]
        name = Text(_line(change.name, _NAME))
        table.add_row(name, *(Text(_line(cell, _PROBLEM)) for cell in cells))
    if moved:
        console.print(table)
    if hidden := len(moved) - _SHOWN_CHANGES if len(moved) > _SHOWN_CHANGES else 0:
        console.print(f"... and {hidden} more.")
    if same := len(changes) - len(moved):
        console.print(f"{same} keep{'s' if same == 1 else ''} the score, with other evidence.")


def _regraded(done: Regraded, results: Path) -> str:
    if not done.changes:
        return f"{done.graded} graded again: nothing changes."
    if not done.written:
        return "Nothing was written."
    return f"Written; the old results are kept in {results / 'candidates'}/*/earlier."
