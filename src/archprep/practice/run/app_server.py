"""Serves one ASGI app on a socket that is already bound, in the folder that it comes from.

    python -m archprep.practice.run.app_server APP DESCRIPTOR FILE

When the app cannot be imported, FILE tells why, as JSON. Never imported by archprep's own process.
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

from archprep.worker import exceptions

NOT_IMPORTED = 3  # the exit code
LAST_REQUESTS_SECONDS = 2  # to be answered when it is to end


def main(app: str, descriptor: str, told: str) -> None:
    """Import the app as `uvicorn` on the command line would, and serve it."""
    import uvicorn

    folder = str(Path.cwd().resolve())
    sys.path.insert(0, folder)
    try:
        imported = _imported(app)
    except BaseException as e:  # noqa: BLE001 - SystemExit, too, is the candidate's
        Path(told).write_text(json.dumps(exceptions.describe(e, folder + os.sep)))
        sys.exit(NOT_IMPORTED)
    chatter = {"uvicorn.error": {"level": "WARNING"}}  # but each request is shown
    logging = uvicorn.config.LOGGING_CONFIG
    config = uvicorn.Config(
        imported,
        log_config=logging | {"loggers": logging["loggers"] | chatter},
        proxy_headers=False,  # nobody stands in front of it, so nobody is to be believed
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


def _imported(app: str) -> Any:
    module, _, path = app.partition(":")
    return functools.reduce(getattr, path.split("."), importlib.import_module(module))


if __name__ == "__main__":
    main(*sys.argv[1:])
