"""The commands that grade submissions: `grade` and `regrade`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archprep.cli.grade_output import (
    ProgressLine,
    show_batch,
    show_changes,
    show_faults,
    show_regraded,
)
from archprep.cli.interview import PANEL
from archprep.core import terminal
from archprep.core.errors import UsageError

if TYPE_CHECKING:
    from archprep.interview.batch.regrade import Change

Jobs = Annotated[
    int | None, typer.Option(help="Processes in parallel. Default: one per core.", metavar="N")
]
Level = Annotated[
    str | None,
    typer.Option(
        "--isolation",
        help="Level A is required by default. D is only for code that you trust.",
        metavar="A|D",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel=PANEL, epilog="Example: archprep grade submissions --out results")(
        grade
    )
    app.command(rich_help_panel=PANEL, epilog="Example: archprep regrade results --exercise q3")(
        regrade
    )


def grade(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="The folder with one zip or folder per candidate.", metavar="SUBMISSIONS"
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option(help="The results folder.", metavar="FOLDER", show_default=True)
    ] = Path("results"),
    jobs: Jobs = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Determines all inputs. Default: a random one.", metavar="S"),
    ] = None,
    isolation: Level = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue: keep what is already graded.")
    ] = False,
) -> None:
    """Grade a folder of submissions. The exit code is 0 whatever the scores are."""
    from archprep.interview.batch import grade as batch_grade

    with ProgressLine() as progress, _resume_hint():
        batch = batch_grade.grade(
            submissions,
            out,
            jobs=jobs,
            seed=seed,
            level=isolation,
            resume=resume,
            progress=progress,
        )
    show_batch(batch, out, terminal.console())
    show_faults(batch.faults)
    raise typer.Exit(batch.exit_code)


def regrade(
    results: Annotated[Path, typer.Argument(help="The results folder.", metavar="RESULTS")],
    *,
    exercise: Annotated[
        str | None, typer.Option(help="Only this exercise, for example q3.", metavar="ID")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    jobs: Jobs = None,
    isolation: Level = None,
) -> None:
    """Grade kept submissions again after a grader was fixed; show the changes before writing."""
    from archprep.interview.batch import regrade as batch_regrade

    with ProgressLine() as progress:

        def confirm(changes: Sequence[Change]) -> bool:
            progress.clear()
            show_changes(changes, terminal.console())
            return yes or _confirmed()

        regraded = batch_regrade.regrade(
            results, exercise, confirm=confirm, jobs=jobs, level=isolation, progress=progress
        )
    show_regraded(regraded, results, terminal.console())
    show_faults(regraded.faults)
    raise typer.Exit(regraded.exit_code)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was written: there is no terminal to confirm on.",
            tip="Use --yes to write without asking.",
        )
    return typer.confirm("Write these changes? The old results are kept.", default=False)


@contextmanager
def _resume_hint() -> Iterator[None]:
    """Say how to continue after an interruption."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        terminal.say("Stopped. Everything graded so far is saved; continue with --resume.")
        raise
