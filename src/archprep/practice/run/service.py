"""Serves an exercise's ASGI app on this machine, until interrupted."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.practice.run.listener import FirstRequest, bind, url
from archprep.practice.run.process_group import PYTHON, ProcessGroup, Source, describe_exit

if TYPE_CHECKING:
    from rich.console import Console

PORT = 8000  # uvicorn's default
DOCS = "/docs"  # where FastAPI serves its interactive documentation
PATIENCE_SECONDS = 3.0  # for open requests and the app's shutdown
TICK_SECONDS = 0.1


def serve(app: str, source: Source, console: Console) -> NoReturn:
    """Serve the app until interrupted; UsageError if it cannot be imported or ends by itself."""

    def show(line: str) -> None:
        console.print(line, soft_wrap=True)

    with bind(PORT) as listener, ProcessGroup(PATIENCE_SECONDS) as group:
        descriptor, error_file = listener.fileno(), group.folder / "import-error.json"
        server = "archprep.practice.run.app_server"
        show(f"Starting at {url(listener)} ...")
        group.start(
            "app",
            [*PYTHON, server, app, str(descriptor), str(error_file)],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            cwd=source(group.folder),
            output=show,
            listener=descriptor,
        )
        request, status = FirstRequest(listener, DOCS), None
        while "app" not in group.exit_codes:
            group.wait(TICK_SECONDS)
            if status is None and (status := request.status()) is not None:
                page = DOCS if status == HTTPStatus.OK else ""
                show(f"{url(listener)}{page} answers. Press Ctrl-C to stop.")
        raise _ended(app, group.exit_codes["app"], error_file)


def _ended(app: str, code: int, error_file: Path) -> UsageError:
    with suppress(FileNotFoundError):
        return _not_imported(app, json.loads(error_file.read_bytes()))
    return UsageError(
        f"{app} ended by itself ({describe_exit(code)}).", tip="Its last output may say why."
    )


def _not_imported(app: str, error: dict[str, Any]) -> UsageError:
    where = [f"{file}:{line} in {function}" for file, line, function in error["frames"]]
    where += ["{}:{}".format(*error["syntax"])] if "syntax" in error else []
    what = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
    tip = "It is not written yet." if error["type"] == "NotImplementedError" else None
    place = f" ({', then '.join(where[-3:])})" if where else ""
    return UsageError(sanitize(f"{app} cannot be imported: {what}{place}."), tip=tip)
