"""The author's commands: create an exercise, prove that an exercise is sound."""

from __future__ import annotations

from typing import Annotated

import typer

from archprep.cli import console
from archprep.cli.options import complete_exercise
from archprep.core import terminal


def register(app: typer.Typer) -> None:
    """Add `author` and its commands to `app`."""
    group = typer.Typer(
        help="For authors of exercises.",
        epilog="Example: archprep author check q1",
        no_args_is_help=True,
    )
    group.command(epilog="Example: archprep author new q18 --title 'Feature flags'")(new)
    group.command(epilog="Example: archprep author check q1 --full")(check)
    group.command(epilog="Example: archprep author mutate q1 --sample 50")(mutate)
    app.add_typer(group, name="author")


def new(
    exercise: Annotated[str, typer.Argument(help="An unused id, e.g. q18.", metavar="ID")],
    title: Annotated[str, typer.Option(help="Its title.")] = "New exercise",
) -> None:
    """Create the three folders of a new exercise from the template."""
    from archprep import author

    for path in author.new(exercise, title=title):
        print(path)
    print(f"Next: edit them, then run `archprep author check {exercise}`.")


def check(
    exercises: Annotated[
        list[str] | None,
        typer.Argument(
            help="The exercises, e.g. q1. Default: all.",
            metavar="[ID]...",
            autocompletion=complete_exercise,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Number of parallel processes. Default: two per core.", metavar="N"),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Prove everything. Default: a drawn sample.")
    ] = False,
    changed_since: Annotated[
        str | None,
        typer.Option(help="Prove in full what differs from this Git revision.", metavar="REV"),
    ] = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Leave out right answers, mutants and limits on size.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(help="With --full: seeds for each wrong answer.", metavar="N")
    ] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Repeat the inputs of an earlier proof.", metavar="S")
    ] = None,
) -> None:
    """Prove that the graders accept the reference and reject wrong answers.

    By default a drawn sample of each exercise is proven; the seed is printed.
    """
    from archprep import author
    from archprep.content import catalog

    chosen = [catalog.get(name) for name in exercises] if exercises else catalog.load_all()
    with console.Progress() as progress:
        proof = author.check(
            chosen,
            full=author.extent(everything=full, changed_since=changed_since),
            seeds=seeds,
            jobs=jobs,
            seed=seed,
            draft=draft,
            progress=progress,
        )
        progress.clear()
        raise typer.Exit(author.print_proof(proof, terminal.console()))


def mutate(
    exercise: Annotated[
        str,
        typer.Argument(
            help="The exercise, e.g. q1.", metavar="ID", autocompletion=complete_exercise
        ),
    ],
    sample: Annotated[
        int | None, typer.Option(help="Grade N drawn mutants. Default: all.", metavar="N")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Number of parallel processes. Default: two per core.", metavar="N"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeat an earlier sample and its inputs.", metavar="S")
    ] = None,
) -> None:
    """Change the reference in one place at a time: the graders must notice each change.

    A change that no rule can distinguish belongs in equivalent.yaml, with the reason.
    """
    from archprep import author
    from archprep.content import catalog

    with console.Progress() as progress:
        mutation = author.mutate(
            catalog.get(exercise), sample=sample, seed=seed, jobs=jobs, progress=progress
        )
        progress.clear()
        raise typer.Exit(author.print_mutation(mutation, terminal.console()))
