"""The commands for kits: `kit` for interviewers, `begin` and `submit` for candidates."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archprep.core import terminal
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from archprep.interview.kits.begin import BegunKit
    from archprep.interview.kits.submit import WrittenSubmission

PANEL = "Interviews"  # of these commands in the help


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(
        rich_help_panel=PANEL,
        epilog="Example: archprep kit --questions q1,q3 --candidate 'Ada Lovelace'",
    )(kit)
    app.command(rich_help_panel=PANEL, epilog="Example: archprep begin ada-lovelace.zip")(begin)
    app.command(rich_help_panel=PANEL, epilog="Example: archprep submit ada-lovelace")(submit)


def kit(
    *,
    questions: Annotated[
        str, typer.Option(help="The exercises, in the order of the kit.", metavar="q1,q3,...")
    ],
    candidate: Annotated[
        str | None, typer.Option(help="The candidate's name.", metavar="NAME")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A CSV file with a column `name`, or `first name` and `last name`.",
            metavar="FILE",
        ),
    ] = None,
    minutes: Annotated[
        int | None,
        typer.Option(
            help="Time for the whole kit. Default: the sum of the exercises' times.", metavar="N"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.", metavar="FOLDER")] = Path(
        "kits"
    ),
) -> None:
    """Make a zip for a candidate: briefs, starters and public examples, signed.

    It contains no graders, solutions or hints. Existing files are never overwritten.
    """
    from archprep.interview.kits.candidates_csv import read_names
    from archprep.interview.kits.make_kits import chosen_exercises, make_kits

    if (candidate is None) == (from_ is None):
        problem = "are both missing" if candidate is None else "cannot be combined"
        raise UsageError(
            f"--candidate and --from {problem}.",
            tip="Use --candidate for one kit, or --from for one kit per name in a file.",
        )
    exercises = chosen_exercises(questions)
    names = read_names(from_) if from_ is not None else [candidate or ""]
    time = sum(exercise.minutes for exercise in exercises) if minutes is None else minutes
    made = make_kits(exercises, names, time, out)
    for one in made:
        typer.echo(_shown(one.path) + (f"  {one.candidate}" if from_ is not None else ""))
    if from_ is not None:
        typer.echo(f"{_count(len(made), 'kit')}, {time} minutes each.")


def begin(
    kit: Annotated[
        Path,
        typer.Argument(
            help="The kit's folder or its zip. Default: the current folder.",
            metavar="[KIT]",
            show_default=False,
        ),
    ] = Path(),
) -> None:
    """Start the clock of a kit. A zip is unpacked next to itself first.

    Running it again changes nothing and shows when the kit was begun.
    """
    from archprep.interview.kits import begin as kit_begin

    _show_begun(kit_begin.begin(kit))


def submit(
    directory: Annotated[
        Path,
        typer.Argument(
            help="The kit's folder. Default: the current folder.",
            metavar="[DIR]",
            show_default=False,
        ),
    ] = Path(),
    *,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Include files that are not valid Python.")
    ] = False,
) -> None:
    """Check a kit's files and make the zip to send to the interviewer.

    Times are reported by this machine's clock. Late submissions are recorded, never refused.
    """
    from archprep.interview.kits import submit as kit_submit

    _show_submission(kit_submit.submit(directory, anyway=anyway))


# -- output -----------------------------------------------------------------------------------


def _show_begun(begun: BegunKit) -> None:
    kit = begun.kit
    typer.echo(
        f"Kit for {kit.candidate}: {_count(kit.minutes, 'minute')}, in {_shown(begun.folder)}"
    )
    for exercise in kit.exercises:
        typer.echo(f"  {exercise.id:<4} {exercise.folder}")
    if begun.was_running:
        typer.echo(f"Begun at {_local(begun.at)}; nothing was changed.")
    else:
        typer.echo(f"Begun now, at {_local(begun.at)}.")
    if datetime.now(begun.deadline.tzinfo) > begun.deadline:
        typer.echo(
            f"The time was up at {_local(begun.deadline)}. "
            "Late submissions are recorded, never refused."
        )
    else:
        typer.echo(f"Run `archprep submit` in that folder by {_local(begun.deadline)}.")


def _show_submission(written: WrittenSubmission) -> None:
    typer.echo(_shown(written.path))
    for one in written.exercises:
        typer.echo(f"\n{one.exercise.id}  {one.title}")
        for file in one.files:
            typer.echo(f"  {file.sha256[:12]}  {file.size:>7,} bytes  {file.path}")
    typer.echo(f"\n{_time_used(written)}")
    for one in written.exercises:
        for sentence in (*(f"Not valid Python: {b}" for b in one.broken), *one.notes):
            terminal.say(sentence)
    typer.echo("Send this zip to your interviewer.")


def _time_used(written: WrittenSubmission) -> str:
    from archprep.interview.text import minutes

    allowed = written.kit.minutes
    if written.used is None:
        return f"Time used: unknown of {allowed} min, because `archprep begin` was not run."
    if written.used < timedelta():
        return "Time used: unknown, because this machine's clock was set back."
    text = f"Time used: {minutes(written.used)} of {allowed} min, by this machine's clock."
    if written.late:
        text += f" Late by {minutes(written.late)} min: recorded, never refused."
    return text


def _local(instant: datetime) -> str:
    return f"{instant.astimezone():%Y-%m-%d %H:%M %Z}"


def _shown(path: Path) -> str:
    return sanitize(str(path), 4096)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
