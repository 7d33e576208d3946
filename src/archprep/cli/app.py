"""The commands: parse, call one function of the engine, show what it returns.

The one place where exceptions become messages and exit codes.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from archprep import __version__
from archprep.cli import console, grade, interview, review
from archprep.core import terminal
from archprep.core.errors import ArchprepError, Exit, UsageError

if TYPE_CHECKING:
    from archprep.core.model import Exercise, Scorecard
    from archprep.practice.commands import Place

app = typer.Typer(
    name="archprep",
    help="Practise senior Python architect interviews: write the code, be scored, learn why.",
    epilog="New here? Run `archprep tour`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
author_app = typer.Typer(
    help="For authors of exercises.",
    epilog="Example: archprep author check q1",
    no_args_is_help=True,
)
app.add_typer(author_app, name="author")


def main() -> NoReturn:
    """Run archprep; see `errors.Exit` for the exit codes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A letter that the terminal does not know must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except ArchprepError as e:
        sys.exit(console.explain(e))
    except (KeyboardInterrupt, SystemExit) as e:
        # Typer turns Ctrl-C into an exit of its own, without a word.
        if isinstance(e, SystemExit) and e.code != Exit.INTERRUPTED:
            raise
        terminal.say("Interrupted. Nothing was lost.")
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(Exit.PASSED)  # `archprep list | head` has what it wanted
    except Exception as e:  # noqa: BLE001 - whatever is left is our fault, and is said in one sentence
        sys.exit(terminal.unexpected(e))
    sys.exit(Exit.PASSED)


# -- completion and shared options ------------------------------------------------------------


def _complete_exercise(incomplete: str) -> list[tuple[str, str]]:
    from archprep.content import catalog

    with suppress(ArchprepError):  # in the middle of a line nobody wants to read about it
        return [(e.id, e.title) for e in catalog.load_all() if e.id.startswith(incomplete.lower())]
    return []


def _complete_criterion(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from archprep.content import criteria
    from archprep.practice import commands
    from archprep.workspace.store import Store

    # Before an option's value is there, click has not told the arguments from the rest.
    name = ctx.params.get("exercise") or next((a for a in ctx.args if a[0] != "-"), None)
    with suppress(ArchprepError), Store.open() as store:
        found = criteria.declared(commands.about(name, store))
        return [(c.id, c.title) for c in found if c.id.startswith(incomplete)]
    return []


_ID_HELP = "The exercise, e.g. q1."
ExerciseId = Annotated[
    str, typer.Argument(help=_ID_HELP, autocompletion=_complete_exercise, metavar="ID")
]
MaybeExerciseId = Annotated[
    str | None,
    typer.Argument(
        help=f"{_ID_HELP} Default: that of the folder you are in, else the last one started.",
        autocompletion=_complete_exercise,
        metavar="[ID]",
    ),
]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="The workspace folder itself.", metavar="D")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        print(f"archprep {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Nothing is done for all commands alike."""


# -- the candidate's commands -----------------------------------------------------------------


@app.command("list", epilog="Example: archprep list --section airflow --todo")
def list_(
    section: Annotated[str, typer.Option(help="Only sections whose name contains this.")] = "",
    difficulty: Annotated[str, typer.Option(help="Only easy, medium or hard.")] = "",
    todo: Annotated[bool, typer.Option("--todo", help="Only what is not at 100 yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the exercises by section, with your state of each."""
    from archprep.practice import listing
    from archprep.workspace.store import Store

    with Store.open() as store:
        rows = listing.rows(store, section=section, difficulty=difficulty, todo=todo)
        print(listing.as_json(rows)) if as_json else listing.show(rows)
        console.warn(store)


@app.command(epilog="Example: archprep start q1")
def start(exercise: ExerciseId, directory: Directory = None) -> None:
    """Make a workspace: the brief, the starter code and public examples."""
    from archprep.content import catalog
    from archprep.practice import commands
    from archprep.workspace.store import Store

    with Store.open() as store:
        chosen = catalog.get(exercise)
        made = commands.begin(chosen, directory, store)
        console.show_started(chosen, made)
        store.remember_workspace(chosen.id, made.path)
        console.warn(store)


@app.command(epilog="Example: archprep check q1 --task 2")
def check(
    exercise: MaybeExerciseId = None,
    directory: Directory = None,
    task: Annotated[
        int | None, typer.Option(help="Only the criteria of this task.", metavar="N")
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(help="Only this criterion.", metavar="ID", autocompletion=_complete_criterion),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the inputs of an earlier attempt.", metavar="S")
    ] = None,
    isolation: Annotated[
        str | None, typer.Option(help="Insist on level A, or use D (your own code only).")
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show times, and inputs and prints in full.")
    ] = False,
) -> None:
    """Grade your code with the hidden criteria, and say what is wrong and why."""
    from archprep.grading.session import Wanted
    from archprep.practice import commands
    from archprep.workspace.store import Store

    if task is not None and criterion is not None:
        raise UsageError("--task and --criterion both choose.", tip="Give one of the two.")
    with Store.open() as store, console.Progress() as progress:
        where = commands.place(exercise, directory, store)
        wanted = Wanted(task, criterion)
        graded = commands.check(
            where, store, seed=seed, level=isolation, wanted=wanted, progress=progress
        )
        progress.clear()
        console.show_scorecard(
            graded.scorecard, as_json=as_json, verbose=verbose, again=_again(where, directory)
        )
        console.warn(store)
    if graded.unsaved is not None:
        raise graded.unsaved
    raise typer.Exit(_verdict(graded.scorecard))


@app.command(epilog="Example: archprep watch q1")
def watch(
    exercise: MaybeExerciseId = None,
    directory: Directory = None,
    isolation: Annotated[
        str | None, typer.Option(help="Insist on level A, or use D (your own code only).")
    ] = None,
) -> None:
    """Grade again on each save, with what fails in view. Ctrl-C ends it."""
    from archprep.practice import commands
    from archprep.practice import watch as watching
    from archprep.workspace.store import Store

    with Store.open() as store:
        where = commands.place(exercise, directory, store)
        watching.watch(where, store, terminal.console(), level=isolation)


@app.command(epilog="Example: archprep run q3")
def run(
    exercise: MaybeExerciseId = None,
    directory: Directory = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Run the reference instead of your code.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option("--once", help="End with the DAG's run; exit code 0 if it succeeded, else 1."),
    ] = False,
    date: Annotated[
        str | None,
        typer.Option(
            help="The DAG's first run from this date on, e.g. 2026-03-02.", metavar="DATE"
        ),
    ] = None,
) -> None:
    """Try your code for real: its service, or its DAG in a local Airflow. Ctrl-C ends it.

    Only this machine can reach it. It runs with your rights: not for other people's code.
    """
    from archprep.practice import commands
    from archprep.practice.run import launch
    from archprep.workspace.store import Store

    if reference and directory is not None:
        raise UsageError("--reference and --dir both choose the code.", tip="Give one of the two.")
    with Store.open() as store:
        where = None if reference else commands.place(exercise, directory, store)
        chosen = commands.about(exercise, store) if where is None else where.exercise
        console.warn(store)
    workspace = None if where is None else where.directory
    raise typer.Exit(launch.run(chosen, workspace, terminal.console(), once=once, date=date))


@app.command(epilog="Example: archprep progress")
def progress(as_json: AsJson = False) -> None:
    """Show scores, attempts and time by section, what is weakest, and what to do next."""
    from archprep.practice import progress as record
    from archprep.workspace.store import Store

    with Store.open() as store:
        found = record.collect(store)
        print(record.as_json(found)) if as_json else record.show(found, terminal.console())
        console.warn(store)


@app.command(epilog="Example: archprep hint q1")
def hint(
    exercise: MaybeExerciseId = None,
    criterion: Annotated[
        str | None,
        typer.Argument(
            help="Its id, as the scorecard shows it. Default: the first that fails.",
            metavar="[CRITERION]",
            autocompletion=_complete_criterion,
        ),
    ] = None,
) -> None:
    """Give one more hint for what fails, from general to concrete. Hints are counted."""
    from archprep.practice import commands, listing
    from archprep.workspace.store import Store

    with Store.open() as store:
        chosen = commands.about(exercise, store)
        listing.show_hint(chosen, commands.hint(chosen, criterion, store), terminal.console())
        console.warn(store)


@app.command(epilog="Example: archprep solution q1 --give-up")
def solution(
    exercise: MaybeExerciseId = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Open it before 100 points; this is recorded.")
    ] = False,
) -> None:
    """Show the reference, its notes, and a diff against your code."""
    from archprep.practice import commands, listing
    from archprep.workspace.store import Store

    with Store.open() as store:
        chosen = commands.about(exercise, store)
        listing.show_solution(commands.solution(chosen, store, give_up=give_up), terminal.console())
        console.warn(store)


@app.command(epilog="Example: archprep reset q1")
def reset(exercise: ExerciseId, directory: Directory = None) -> None:
    """Go back to the starter; what was there is kept in a dated folder beside it."""
    from archprep.practice import commands
    from archprep.workspace import folder as workspace
    from archprep.workspace.store import Store

    with Store.open() as store:
        where = commands.place(exercise, directory, store)
        backup = workspace.reset(where.exercise, where.directory)
        print(f"{where.directory} is back at the starter of {where.exercise.id}.")
        print(f"What was there is in {backup}.")
        console.warn(store)


@app.command(epilog="Example: archprep report q1 --html report.html")
def report(
    exercise: MaybeExerciseId = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page that needs nothing else.", metavar="F"),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="Write the scorecard as JSON.", metavar="F")
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The best complete attempt instead of the last.")
    ] = False,
) -> None:
    """Show the scorecard of your last attempt, or write it as HTML or JSON."""
    from archprep import report as reports
    from archprep.practice import commands
    from archprep.workspace.store import Store

    with Store.open() as store:
        attempt = commands.attempt(exercise, store, best=best)
        card = reports.loads(attempt.scorecard)
        if json_ is not None:
            console.write_report(json_, reports.dumps(card))
        if html is not None:
            console.write_report(html, commands.page(card, store))
        if html is None and json_ is None:
            reports.print_scorecard(card, terminal.console())
        console.warn(store)


@app.command(epilog="Example: archprep doctor")
def doctor() -> None:
    """Look at this machine: each problem with the one command that fixes it."""
    from archprep.practice import doctor as examine

    sound = examine.show(examine.examine(), terminal.console())
    raise typer.Exit(Exit.PASSED if sound else Exit.NOT_PASSED)


@app.command(epilog="Example: archprep tour")
def tour(
    exercise: Annotated[
        str, typer.Argument(help=_ID_HELP, metavar="[ID]", autocompletion=_complete_exercise)
    ] = "q1",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep the tour's files here.", metavar="D")
    ] = None,
) -> None:
    """Walk through the main job in a scratch folder: start, check, score 100, report."""
    from archprep.practice import tour as guide

    raise typer.Exit(guide.walk(_get(exercise), directory, terminal.console()))


# -- the interviewer's commands ---------------------------------------------------------------

interview.register(app)
grade.register(app)
review.register(app)


# -- the author's commands --------------------------------------------------------------------


@author_app.command("new", epilog="Example: archprep author new q18 --title 'Feature flags'")
def author_new(
    exercise: Annotated[str, typer.Argument(help="A free id, e.g. q18.", metavar="ID")],
    title: Annotated[str, typer.Option(help="Its title.")] = "New exercise",
) -> None:
    """Write the three folders of a new exercise from the template."""
    from archprep import author

    for path in author.new(exercise, title=title):
        print(path)
    print(f"Next: edit them, then run `archprep author check {exercise}`.")


@author_app.command("check", epilog="Example: archprep author check q1 --thorough")
def author_check(
    exercises: Annotated[
        list[str] | None,
        typer.Argument(
            help="The exercises, e.g. q1. Default: all.",
            metavar="[ID]...",
            autocompletion=_complete_exercise,
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes at a time; default: one a core.", metavar="N")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Every wrong answer with several seeds.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the draws of an earlier proof.", metavar="S")
    ] = None,
) -> None:
    """Prove that graders accept the reference and reject every wrong answer."""
    from archprep import author
    from archprep.content import catalog

    chosen = [_get(name) for name in exercises] if exercises else catalog.load_all()
    with console.Progress() as progress:
        proof = author.check(chosen, jobs=jobs, thorough=thorough, seed=seed, progress=progress)
        progress.clear()
        raise typer.Exit(author.print_proof(proof, terminal.console()))


# -- small things ------------------------------------------------------------------------------


def _get(name: str) -> Exercise:
    from archprep.content import catalog

    return catalog.get(name)


def _again(where: Place, directory: Path | None) -> str:
    """Return the start of the command that repeats a check."""
    import shlex

    chosen = f" --dir {shlex.quote(str(directory))}" if directory is not None else ""
    return f"archprep check {where.exercise.id}{chosen}"


def _verdict(card: Scorecard) -> Exit:
    if not card.scored:
        return Exit.INTERNAL
    return Exit.PASSED if card.passed else Exit.NOT_PASSED
