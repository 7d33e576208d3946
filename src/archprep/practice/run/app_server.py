"""Serves one ASGI app from the working directory, on a socket that is already bound.

    python -m archprep.practice.run.app_server APP DESCRIPTOR FILE

If the app cannot be imported, FILE says why, as JSON. archprep's own process never imports this.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from archprep.core.files import write_atomically
from archprep.worker import exceptions

IMPORT_FAILED = 3  # the exit code
SHUTDOWN_SECONDS = 2  # for open requests


def main(app: str, descriptor: str, error_file: str) -> None:
    """Import the app as the `uvicorn` command would, and serve it."""
    import uvicorn

    folder = str(Path.cwd().resolve())
    sys.path.insert(0, folder)
    try:
        imported = _import(app)
    except BaseException as error:  # noqa: BLE001 - the candidate's module may raise anything
        described = exceptions.describe(error, folder + os.sep)
        write_atomically(Path(error_file), json.dumps(described))
        sys.exit(IMPORT_FAILED)
    quiet = {"uvicorn.error": {"level": "WARNING"}}  # the access log stays
    logging = uvicorn.config.LOGGING_CONFIG
    config = uvicorn.Config(
        imported,
        log_config=logging | {"loggers": logging["loggers"] | quiet},
        proxy_headers=False,  # there is no proxy whose headers could be trusted
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


def _import(app: str) -> Any:
    module, _, path = app.partition(":")
    return functools.reduce(getattr, path.split("."), importlib.import_module(module))


if __name__ == "__main__":
    main(*sys.argv[1:])
