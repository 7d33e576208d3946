"""An exercise's ASGI app, served on this machine only, until somebody ends it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.practice.run.address import Question, bound, url
from archprep.practice.run.process_group import PYTHON, Group, Source

if TYPE_CHECKING:
    from rich.console import Console

PORT = 8000  # uvicorn's own, if it is free
DOCS = "/docs"  # where FastAPI has the page on which an API is tried
PATIENCE_SECONDS = 3.0  # for requests that are still open, and the app's own end
TICK_SECONDS = 0.1


def serve(app: str, source: Source, console: Console) -> NoReturn:
    """Serve the app until interrupted; UsageError when it cannot be imported, or ends by itself."""

    def show(line: str) -> None:
        console.print(line, soft_wrap=True)

    with bound(PORT) as listener, Group(show, listener, PATIENCE_SECONDS) as group:
        told = group.room / "told.json"
        command = [
            *PYTHON,
            "archprep.practice.run.app_server",
            app,
            str(listener.fileno()),
            str(told),
        ]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        show(f"Starting it at {url(listener)} ...")
        group.start("app", command, env=environment, cwd=source(group.room), listens=True)
        question, status = Question(listener, DOCS), None
        while "app" not in group.ended:
            group.wait(TICK_SECONDS)
            if status is None and (status := question.status()) is not None:
                page = DOCS if status == HTTPStatus.OK else ""
                show(f"{url(listener)}{page} answers. Ctrl-C ends it.")
        raise _ended(app, group.ended["app"], told)


def _ended(app: str, code: int, told: Path) -> UsageError:
    with suppress(FileNotFoundError):
        return _not_imported(app, json.loads(told.read_bytes()))
    how = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
    return UsageError(f"{app} ended by itself ({how}).", tip="What it printed last may say why.")


def _not_imported(app: str, error: dict[str, Any]) -> UsageError:
    where = [f"{file}:{line} in {function}" for file, line, function in error["frames"]]
    where += ["{}:{}".format(*error["syntax"])] if "syntax" in error else []
    what = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
    tip = "That is not written yet." if error["type"] == "NotImplementedError" else None
    place = f" ({', then '.join(where[-3:])})" if where else ""
    return UsageError(sanitize(f"{app} cannot be imported: {what}{place}."), tip=tip)
