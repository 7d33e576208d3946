"""The commands that hand out kits and hand them in; `cli` registers them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archprep.core import terminal
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize

if TYPE_CHECKING:
    from archprep.interview.handin import Begun, HandedIn

PANEL = "Interviews"  # of the commands, in the help


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
        str | None, typer.Option(help="The name of the one candidate.", metavar="NAME")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A kit for each name in a CSV file: its column `name`, or its first one.",
            metavar="F",
        ),
    ] = None,
    minutes: Annotated[
        int | None,
        typer.Option(help="The time for all of it. Default: what the exercises say.", metavar="N"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.", metavar="D")] = Path("kits"),
) -> None:
    """Make a zip for a candidate: briefs, starters and public examples, signed.

    It holds nothing that grades, solves or hints. Nothing that exists is overwritten.
    """
    from archprep.interview import kit as kits

    if (candidate is None) == (from_ is None):
        raise UsageError(
            "A kit is for one --candidate, or for each name in a file given by --from.",
            tip="Give one of the two.",
        )
    exercises = kits.questions(questions)
    names = kits.candidates(from_) if from_ is not None else [candidate or ""]
    time = sum(exercise.minutes for exercise in exercises) if minutes is None else minutes
    made = kits.make(exercises, names, time, out)
    for one in made:
        typer.echo(_shown(one.path) + (f"  {one.candidate}" if from_ is not None else ""))
    if from_ is not None:
        typer.echo(f"{_count(len(made), 'kit')}, {time} minutes each.")


def begin(
    kit: Annotated[
        Path,
        typer.Argument(
            help="The kit's folder, or its zip. Default: where you are.",
            metavar="[KIT]",
            show_default=False,
        ),
    ] = Path(),
) -> None:
    """Start the clock of a kit. A zip is unpacked beside it.

    Doing it again changes nothing and says when it began.
    """
    from archprep.interview import handin

    _show_begun(handin.begin(kit))


def submit(
    directory: Annotated[
        Path,
        typer.Argument(
            help="The kit's folder. Default: where you are.", metavar="[DIR]", show_default=False
        ),
    ] = Path(),
    *,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also with files that Python cannot read.")
    ] = False,
) -> None:
    """Check the files of a kit and make the zip to send to the interviewer.

    Times are reported as this machine tells them. Handing in late is recorded, never refused.
    """
    from archprep.interview import handin

    _show_handed_in(handin.submit(directory, anyway=anyway))


# -- what they show ---------------------------------------------------------------------------


def _show_begun(begun: Begun) -> None:
    kit = begun.kit
    typer.echo(
        f"Kit for {kit.candidate}: {_count(kit.minutes, 'minute')}, in {_shown(begun.folder)}"
    )
    for exercise in kit.exercises:
        typer.echo(f"  {exercise.id:<4} {exercise.folder}")
    if begun.earlier:
        typer.echo(f"It began at {_local(begun.at)}; nothing was changed.")
    else:
        typer.echo(f"It begins now, at {_local(begun.at)}.")
    if datetime.now(begun.due.tzinfo) > begun.due:
        typer.echo(f"The time was over at {_local(begun.due)}. Late is recorded, never refused.")
    else:
        typer.echo(f"Hand in by {_local(begun.due)}: archprep submit, in that folder.")


def _show_handed_in(handed_in: HandedIn) -> None:
    typer.echo(_shown(handed_in.path))
    for part in handed_in.parts:
        typer.echo(f"\n{part.exercise.id}  {part.title}")
        for file in part.files:
            typer.echo(f"  {file.sha256[:12]}  {file.size:>7,} bytes  {file.path}")
    typer.echo(f"\n{_time_used(handed_in)}")
    for part in handed_in.parts:
        for sentence in (*(f"No valid Python: {b}" for b in part.broken), *part.notes):
            terminal.say(sentence)
    typer.echo("Send this zip to your interviewer.")


def _time_used(handed_in: HandedIn) -> str:
    minutes = handed_in.kit.minutes
    if handed_in.used is None:
        return f"Time used: unknown of {minutes} min, since `archprep begin` was not run."
    if handed_in.used < timedelta():
        return "Time used: unknown, since the clock of this machine was set back meanwhile."
    said = f"Time used: {_whole_minutes(handed_in.used)} of {minutes} min, by this machine's clock."
    if handed_in.late:
        said += f" Late by {_late(handed_in.late)}: recorded, never refused."
    return said


def _whole_minutes(time: timedelta) -> int:
    return int(time.total_seconds() // 60)


def _late(time: timedelta) -> str:
    minutes = _whole_minutes(time)
    return f"{minutes} min" if minutes else "less than a minute"


def _local(instant: datetime) -> str:
    return f"{instant.astimezone():%Y-%m-%d %H:%M}"


def _shown(path: Path) -> str:
    return sanitize(str(path), 4096)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
