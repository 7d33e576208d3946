"""What `grade` and `regrade` print: progress, the table of scores, changes and faults."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archprep.core import terminal
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.interview.batch.grade import GradedBatch
    from archprep.interview.batch.progress import BatchProgress
    from archprep.interview.batch.regrade import Change, RegradedBatch
    from archprep.interview.model import Result

_MAX_NAME = 40  # characters in the table
_MAX_PROBLEM = 300  # characters in the table; the pages show all of it
_MAX_LISTED = 200  # changes or faults


class ProgressLine:
    """Shows progress: in one line on a terminal, else with one line per finished exercise."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, progress: BatchProgress) -> None:
        """Show this progress instead of the one before."""
        message = _one_line(progress.message)
        if not self._is_terminal:
            if message:
                terminal.say(f"{progress.done}/{progress.total} {message}")
            return
        line = f"{counts(progress)}  {message}" if message else counts(progress)
        sys.stderr.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line."""
        if self._is_terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def counts(progress: BatchProgress) -> str:
    """Return how much is done, running, failed and left."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    seconds = progress.seconds_left
    left = "" if seconds is None else f", {_duration(seconds)} left"
    return f"{progress.done}/{progress.total} done, {progress.running} running{failed}{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _one_line(text: str, limit: int = 200) -> str:
    return sanitize(" ".join(text.split()), limit)


# -- the table ---------------------------------------------------------------------------------


def show_batch(batch: GradedBatch, out: Path, console: Console) -> None:
    """Print each candidate's scores and flags, and where to find the rest."""
    from rich.table import Table
    from rich.text import Text

    exercises = _exercises(batch.results)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("candidate", overflow="fold")
    for name in exercises:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("flags", overflow="fold")
    for result in batch.results:
        scores = [Text(score) for score in _scores(result, exercises)]
        candidate = Text(_one_line(result.received.name, _MAX_NAME))
        table.add_row(candidate, *scores, Text(_remarks(result)))
    console.print(table)
    console.print()
    for sentence in _closing(batch, out):
        console.print(Text(sentence), soft_wrap=True)


def _exercises(results: Sequence[Result]) -> list[str]:
    found = {graded.exercise for result in results for graded in result.graded}
    return sorted(found, key=lambda name: (len(name), name))


def _scores(result: Result, exercises: Sequence[str]) -> list[str]:
    found = {graded.exercise: graded for graded in result.graded}
    cards = [graded and graded.scorecard for graded in map(found.get, exercises)]
    scores = [card.short_score if card else None for card in cards]
    return [
        score or ("-" if name not in found else "?")
        for name, score in zip(exercises, scores, strict=True)
    ]


def _remarks(result: Result) -> str:
    """Problems with what to do about them, flags, and what was replaced."""
    received = result.received
    problems = [f"{g.exercise}: {g.problem}" for g in result.graded if g.problem]
    superseded = [f"replaces {name}" for name in received.superseded]
    found = [received.problem, *problems, *received.flags, *superseded]
    return "; ".join(_one_line(text, _MAX_PROBLEM).removesuffix(".") for text in found if text)


def _closing(graded: GradedBatch, out: Path) -> list[str]:
    batch = graded.batch
    count = len(graded.results)
    candidates = "1 candidate" if count == 1 else f"{count} candidates"
    how = f"seed {batch.seed}, isolation level {batch.isolation.level}"
    return [
        f"{candidates}, {graded.graded} graded now ({how}).",
        f"Open {sanitize(str(out / 'index.html'), 300)}",
    ]


def show_faults(faults: Sequence[str]) -> None:
    """Print what could not be graded through no fault of the candidates."""
    if not faults:
        return
    terminal.say(f"{len(faults)} could not be graded; this is not the candidates' fault:")
    for fault in faults[:_MAX_LISTED]:
        terminal.say(f"  {_one_line(fault, 400)}")


# -- changes -----------------------------------------------------------------------------------


def show_changes(changes: Sequence[Change], console: Console) -> None:
    """Print whose score changes, from what to what."""
    from rich.table import Table
    from rich.text import Text

    in_score = [change for change in changes if change.in_score]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("candidate", "exercise", "before", "after", "criteria"):
        table.add_column(title, overflow="fold")
    for change in in_score[:_MAX_LISTED]:
        cells = [change.exercise, change.before, change.after, ", ".join(change.criteria)]
        name = Text(_one_line(change.name, _MAX_NAME))
        table.add_row(name, *(Text(_one_line(cell, _MAX_PROBLEM)) for cell in cells))
    if in_score:
        console.print(table)
    if (hidden := len(in_score) - _MAX_LISTED) > 0:
        console.print(f"... and {hidden} more.")
    if same := len(changes) - len(in_score):
        console.print(f"{same} with the same score, but other evidence.")


def show_regraded(regraded: RegradedBatch, results: Path, console: Console) -> None:
    """Print whether anything was written."""
    if not regraded.changes:
        text = f"{regraded.graded} graded again: nothing changes."
    elif not regraded.written:
        text = "Nothing was written."
    else:
        text = f"Written; the old results are kept in {results / 'candidates'}/*/earlier."
    console.print(text, soft_wrap=True)
