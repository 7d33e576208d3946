"""Arguments, options and completions that several commands share."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from archprep.core.errors import ArchprepError

_ID_HELP = "The exercise, e.g. q1."


def complete_exercise(incomplete: str) -> list[tuple[str, str]]:
    """Return the ids that begin with `incomplete`, with their titles; none on an error."""
    from archprep.content import catalog

    with suppress(ArchprepError):
        return [(e.id, e.title) for e in catalog.load_all() if e.id.startswith(incomplete.lower())]
    return []


def complete_criterion(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the criteria that begin with `incomplete`, with their titles; none on an error."""
    from archprep.content import criteria
    from archprep.practice.locate import locate_exercise
    from archprep.workspace.store import Store

    # While an option's value is incomplete, click has not separated the arguments from the rest.
    exercise_id = ctx.params.get("exercise") or next((a for a in ctx.args if a[0] != "-"), None)
    with suppress(ArchprepError), Store.open() as store:
        declared = criteria.declared(locate_exercise(exercise_id, store))
        return [(c.id, c.title) for c in declared if c.id.startswith(incomplete)]
    return []


ExerciseId = Annotated[
    str, typer.Argument(help=_ID_HELP, autocompletion=complete_exercise, metavar="ID")
]
ExerciseIdOrDefault = Annotated[
    str,
    typer.Argument(help=_ID_HELP, autocompletion=complete_exercise, metavar="[ID]"),
]
OptionalExerciseId = Annotated[
    str | None,
    typer.Argument(
        help=f"{_ID_HELP} Default: that of the folder you are in, else the last one started.",
        autocompletion=complete_exercise,
        metavar="[ID]",
    ),
]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="The workspace folder itself.", metavar="D")
]
IsolationLevel = Annotated[
    str | None, typer.Option(help="Require level A, or use D (for your own code only).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
