"""The command that shows graded results in the browser: `review`."""

from __future__ import annotations

import getpass
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from archprep.cli.interview import PANEL
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize

_NEEDED = ("fastapi", "python_multipart", "sqlalchemy", "uvicorn")
_NAME = 80  # characters of a reviewer's name


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL, epilog="Example: archprep review results")(review)


def review(
    results: Annotated[Path, typer.Argument(help="A folder of results.", metavar="RESULTS")],
    *,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Default: 8765, or any that is free.", metavar="N"),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as", help="Your name, beside your marks. Default: your login.", metavar="NAME"
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the browser, too.")] = False,
) -> None:
    """Show what `grade` has written in the browser, to mark, comment and decide.

    Only this machine can reach it, and only with the address that is printed. Ctrl-C ends it.
    """
    _require_packages()
    from archprep.review import server

    name = _login() if as_ is None else _named(as_)
    server.serve(results, port=port, reviewer=name, open_browser=open_)


def _require_packages() -> None:
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"`archprep review` needs packages that are not installed here ({', '.join(missing)}).",
            tip="Install them: pip install 'archprep[review]'",
        )


def _named(text: str) -> str:
    name = " ".join(sanitize(text, 4096).split())
    if not name or len(name) > _NAME:
        raise UsageError(f"--as takes a name of 1 to {_NAME} characters.")
    return name


def _login() -> str:
    try:
        return _named(getpass.getuser())
    except (KeyError, OSError, UsageError):
        return "reviewer"  # a container may know no name for its user
