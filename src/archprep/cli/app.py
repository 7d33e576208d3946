"""The app: registers the commands, and turns exceptions into messages and exit codes."""

from __future__ import annotations

import io
import sys
from typing import Annotated, NoReturn

import typer

from archprep import __version__
from archprep.cli import author, console, grade, interview, practice, review
from archprep.core import terminal
from archprep.core.errors import ArchprepError, Exit

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
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal's encoding lacks must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
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
    except BrokenPipeError:
        sys.exit(Exit.PASSED)  # as in `archprep list | head`
    except Exception as error:  # noqa: BLE001 - a bug: show a message instead of a traceback
        sys.exit(terminal.unexpected(error))
    sys.exit(Exit.PASSED)


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
