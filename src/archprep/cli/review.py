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

_REQUIRED = ("fastapi", "python_multipart", "sqlalchemy", "uvicorn")
_MAX_NAME = 80  # characters


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL, epilog="Example: archprep review results")(review)


def review(
    results: Annotated[
        Path, typer.Argument(help="Folder written by `archprep grade`.", metavar="RESULTS")
    ],
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port to listen on. Default: 8765, or any free port.",
            metavar="N",
        ),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as", help="Name to save marks under. Default: your login name.", metavar="NAME"
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the address in the browser.")] = False,
) -> None:
    """Review graded results in the browser: mark answers, comment, override points.

    The server is only reachable from this machine, with the address that is printed. Press Ctrl-C
    to stop it.
    """
    _require_packages()
    from archprep.review import server

    name = _login() if as_ is None else _reviewer_name(as_)
    server.serve(results, port=port, reviewer=name, open_browser=open_)


def _require_packages() -> None:
    if missing := [name for name in _REQUIRED if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"`archprep review` needs packages that are not installed ({', '.join(missing)}).",
            tip="Install them: pip install 'archprep[review]'",
        )


def _reviewer_name(text: str) -> str:
    name = " ".join(sanitize(text, 4096).split())
    if not name or len(name) > _MAX_NAME:
        raise UsageError(f"--as must be a name of 1 to {_MAX_NAME} characters.")
    return name


def _login() -> str:
    try:
        return _reviewer_name(getpass.getuser())
    except (KeyError, OSError, UsageError):
        return "reviewer"  # in a container the user may have no name
