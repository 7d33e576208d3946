"""The candidate's commands: start an exercise, check it, get help, look back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archprep.cli import console
from archprep.cli.options import (
    AsJson,
    Directory,
    ExerciseId,
    ExerciseIdOrDefault,
    IsolationLevel,
    OptionalExerciseId,
    complete_criterion,
)
from archprep.core import terminal
from archprep.core.errors import Exit, UsageError

if TYPE_CHECKING:
    from archprep.core.model import Scorecard
    from archprep.practice.locate import LocatedWorkspace


def register(app: typer.Typer) -> None:
    """Add the commands to `app`, in the order of its help."""
    app.command("list", epilog="Example: archprep list --section airflow --todo")(list_)
    app.command(epilog="Example: archprep start q1")(start)
    app.command(epilog="Example: archprep check q1 --task 2")(check)
    app.command(epilog="Example: archprep watch q1")(watch)
    app.command(epilog="Example: archprep run q3")(run)
    app.command(epilog="Example: archprep progress")(progress)
    app.command(epilog="Example: archprep hint q1")(hint)
    app.command(epilog="Example: archprep solution q1 --give-up")(solution)
    app.command(epilog="Example: archprep reset q1")(reset)
    app.command(epilog="Example: archprep report q1 --html report.html")(report)
    app.command(epilog="Example: archprep doctor")(doctor)
    app.command(epilog="Example: archprep tour")(tour)


def list_(
    section: Annotated[str, typer.Option(help="Only sections whose name contains this.")] = "",
    difficulty: Annotated[str, typer.Option(help="Only easy, medium or hard ones.")] = "",
    todo: Annotated[bool, typer.Option("--todo", help="Only those below 100 points.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the exercises by section, with your state of each."""
    from archprep.practice import listing

    with console.open_store() as store:
        found = listing.select(store, section=section, difficulty=difficulty, todo=todo)
        print(listing.as_json(found)) if as_json else listing.show(found)


def start(
    exercise: ExerciseId,
    directory: Directory = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="Only these tasks: core, 1-2 or 1,3. Default: all.", metavar="TASKS"),
    ] = None,
) -> None:
    """Create a workspace: the brief, the starter code and public examples."""
    from archprep.content import catalog, selection
    from archprep.practice import locate

    with console.open_store() as store:
        chosen = catalog.get(exercise)
        if tasks is not None:
            asks = f"archprep start {chosen.id} --tasks"
            chosen = selection.chosen(chosen, tasks, lambda right: f"{asks} {right}")
        workspace = locate.start(chosen, directory, store)
        console.show_started(chosen, workspace)
        store.remember_workspace(chosen.id, workspace.path)


def check(
    exercise: OptionalExerciseId = None,
    directory: Directory = None,
    task: Annotated[
        int | None, typer.Option(help="Only the criteria of this task.", metavar="N")
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(help="Only this criterion.", metavar="ID", autocompletion=complete_criterion),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the inputs of an earlier attempt.", metavar="S")
    ] = None,
    isolation: IsolationLevel = None,
    as_json: AsJson = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show times, full inputs and printed output.")
    ] = False,
) -> None:
    """Grade your code with the hidden criteria, and say what is wrong and why."""
    from archprep.grading.session import Wanted
    from archprep.practice import check as checking
    from archprep.practice.locate import locate_workspace

    if task is not None and criterion is not None:
        raise UsageError("--task and --criterion cannot be combined.", tip="Omit one of them.")
    with console.open_store() as store, console.Progress() as progress:
        located = locate_workspace(exercise, directory, store)
        graded = checking.check(
            located,
            store,
            seed=seed,
            level=isolation,
            wanted=Wanted(task, criterion),
            progress=progress,
        )
        progress.clear()
        repeat = _check_command(located, directory)
        console.show_scorecard(graded.scorecard, as_json=as_json, verbose=verbose, repeat=repeat)
    if graded.unsaved is not None:
        terminal.say(f"The score counts, but it was not saved: {graded.unsaved.message}")
    raise typer.Exit(_exit_code(graded.scorecard))


def watch(
    exercise: OptionalExerciseId = None,
    directory: Directory = None,
    isolation: IsolationLevel = None,
) -> None:
    """Grade again on each save and show what fails, until Ctrl-C."""
    from archprep.practice import watch as watching
    from archprep.practice.locate import locate_workspace

    with console.open_store() as store:
        located = locate_workspace(exercise, directory, store)
        watching.watch(located, store, terminal.console(), level=isolation)


def run(
    exercise: OptionalExerciseId = None,
    directory: Directory = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Run the reference instead of your code.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Stop after the DAG's run: exit code 0 if it succeeds, else 1."
        ),
    ] = False,
    date: Annotated[
        str | None,
        typer.Option(
            help="Trigger the DAG's first run from this date on, e.g. 2026-03-02.", metavar="DATE"
        ),
    ] = None,
) -> None:
    """Run your service, or your DAG in a local Airflow, until Ctrl-C.

    Only this machine can reach it. It runs with your permissions: not for other people's code.
    """
    from archprep.practice.locate import locate_exercise, locate_workspace
    from archprep.practice.run import launch

    if reference and directory is not None:
        raise UsageError("--reference and --dir cannot be combined.", tip="Omit one of them.")
    with console.open_store() as store:
        if reference:
            chosen, workspace = locate_exercise(exercise, store), None
        else:
            located = locate_workspace(exercise, directory, store)
            chosen, workspace = located.exercise, located.directory
    raise typer.Exit(launch.run(chosen, workspace, terminal.console(), once=once, date=date))


def progress(as_json: AsJson = False) -> None:
    """Show scores, attempts and time by section, the weakest task, and what to do next."""
    from archprep.practice import progress as history

    with console.open_store() as store:
        found = history.collect(store)
        print(history.as_json(found)) if as_json else history.show(found, terminal.console())


def hint(
    exercise: OptionalExerciseId = None,
    criterion: Annotated[
        str | None,
        typer.Argument(
            help="Its id, as the scorecard shows it. Default: the first that fails.",
            metavar="[CRITERION]",
            autocompletion=complete_criterion,
        ),
    ] = None,
) -> None:
    """Reveal one more hint for what fails, from general to concrete. Hints are counted."""
    from archprep.practice import hints
    from archprep.practice.locate import locate_exercise

    with console.open_store() as store:
        chosen = locate_exercise(exercise, store)
        hints.show(chosen, hints.take_hint(chosen, criterion, store), terminal.console())


def solution(
    exercise: OptionalExerciseId = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Open it before 100 points; this is recorded.")
    ] = False,
) -> None:
    """Show the reference, its notes, and a diff from your code."""
    from archprep.practice import solution as solutions
    from archprep.practice.locate import locate_exercise

    with console.open_store() as store:
        opened = solutions.open_solution(locate_exercise(exercise, store), store, give_up=give_up)
        solutions.show(opened, terminal.console())


def reset(exercise: ExerciseId, directory: Directory = None) -> None:
    """Restore the starter; your files are kept in a dated folder next to the workspace."""
    from archprep.practice.locate import locate_workspace
    from archprep.workspace.folder import reset_workspace

    with console.open_store() as store:
        located = locate_workspace(exercise, directory, store)
        backup = reset_workspace(located.exercise, located.directory)
        print(f"{located.directory} is back at the starter of {located.exercise.id}.")
        print(f"Your files are kept in {backup}.")


def report(
    exercise: OptionalExerciseId = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a self-contained HTML page.", metavar="F"),
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
    from archprep.practice.report import find_attempt, render_html

    with console.open_store() as store:
        card = reports.loads(find_attempt(exercise, store, best=best).scorecard)
        if json_ is not None:
            console.write_report(json_, reports.dumps(card))
        if html is not None:
            console.write_report(html, render_html(card, store))
        if html is None and json_ is None:
            reports.print_scorecard(card, terminal.console())


def doctor() -> None:
    """Check this machine; each problem comes with the command that fixes it."""
    from archprep.practice import doctor as examination

    sound = examination.show(examination.examine(), terminal.console())
    raise typer.Exit(Exit.PASSED if sound else Exit.NOT_PASSED)


def tour(
    exercise: ExerciseIdOrDefault = "q1",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep the tour's files here.", metavar="D")
    ] = None,
) -> None:
    """Walk through an exercise in a scratch folder: start, check, score 100, report."""
    from archprep.content import catalog
    from archprep.practice import tour as guide

    raise typer.Exit(guide.walk(catalog.get(exercise), directory, terminal.console()))


def _check_command(located: LocatedWorkspace, directory: Path | None) -> str:
    """Return the start of the command that repeats a check."""
    option = f" --dir {shlex.quote(str(directory))}" if directory is not None else ""
    return f"archprep check {located.exercise.id}{option}"


def _exit_code(card: Scorecard) -> Exit:
    if not card.scored:
        return Exit.INTERNAL
    return Exit.PASSED if card.passed else Exit.NOT_PASSED
