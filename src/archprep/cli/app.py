"""The app: registers the commands, and turns exceptions into messages and exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.main import get_command_name

from archprep import __version__
from archprep.cli import author, console, grade, interview, practice, review
from archprep.core import terminal
from archprep.core.errors import ArchprepError, Exit

if TYPE_CHECKING:
    from typer.models import CommandInfo

app = typer.Typer(
    name="archprep",
    help="Practise senior Python architect interviews: write code, get it scored, learn why.",
    epilog="New here? Run `archprep tour`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _commands in (practice, interview, grade, review, author):
    _commands.register(app)


def main() -> NoReturn:
    """Run archprep; see `errors.Exit` for the exit codes."""
    terminal.prepare_output()
    _drop_other_commands()
    try:
        app()
    except ArchprepError as error:
        sys.exit(console.explain(error))
    except (KeyboardInterrupt, SystemExit) as error:
        # Typer turns Ctrl-C into a SystemExit without a message.
        if isinstance(error, SystemExit) and error.code != Exit.INTERRUPTED:
            raise
        terminal.say("Interrupted. Nothing was lost.")
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - a bug: show a message instead of a traceback
        sys.exit(terminal.unexpected(error))
    sys.exit(Exit.PASSED)


def _drop_other_commands() -> None:
    """Keep only the command that is called: Typer examines every parameter of all it knows."""
    called = next((argument for argument in sys.argv[1:] if argument[0:1] != "-"), None)
    kept = [c for c in app.registered_commands if called == _name(c)]
    if kept:  # otherwise a group, --help, completion or a mistyped name
        app.registered_commands, app.registered_groups = kept, []


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(getattr(command.callback, "__name__", ""))


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
    """Options that come before the command."""
