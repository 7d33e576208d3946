"""Serves an ASGI app on one of the judge's sockets; for probes of HTTP exercises.

Never imported by the judge: it needs uvicorn, which is one of the exercise's packages.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import scenario

if TYPE_CHECKING:
    import socket

FIRST_SERVER_ERROR = 500  # the lowest status code of server errors


def serve(app: Any, listener: socket.socket) -> None:
    """Serve `app` until the judge ends the scenario."""
    import uvicorn

    config = uvicorn.Config(
        _stop_if_unwritten(app),
        http="h11",  # pure Python, and the same implementation on every machine
        ws="none",
        interface="asgi3",
        access_log=False,
        proxy_headers=False,  # trust in proxies is often part of what is graded
        server_header=False,
        log_config=None,
    )
    _log_briefly()
    # Not asyncio.run(): it would cancel the requests in progress, and uvicorn would answer them.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(uvicorn.Server(config).serve(sockets=[listener]))
    except _Unwritten as e:
        raise e.error from None
    raise RuntimeError("the app did not start, or stopped by itself")


def serve_each(make_app: Callable[[int], Any], listeners: list[socket.socket]) -> None:
    """Serve one app per listener, each in its own process, so that they share no memory."""
    report_token, token_writer = os.pipe()
    os.write(token_writer, b"1")
    number = 0
    for other in range(1, len(listeners)):
        if os.fork() == 0:
            number = other
            break
    for listener in listeners[:number] + listeners[number + 1 :]:
        listener.close()
    try:
        serve(make_app(number), listeners[number])
    except BaseException as e:  # noqa: BLE001 - the candidate may raise anything
        os.read(report_token, 1)  # only one process reports to the judge; the others block here
        scenario.report(e)
        os._exit(1)


class _Unwritten(SystemExit):
    """Stops the loop at once: an error response would hide that code is not written yet."""

    def __init__(self, error: NotImplementedError) -> None:
        self.error = error


def _stop_if_unwritten(app: Any) -> Any:
    """Wrap `app` so that an error response is held back until its cause is known."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        held: list[Any] = []

        async def hold_errors(message: Any) -> None:
            if held or message.get("status", 0) >= FIRST_SERVER_ERROR:
                held.append(message)
            else:
                await send(message)

        try:
            await app(scope, receive, hold_errors)
        except NotImplementedError as e:
            loop = asyncio.get_running_loop()
            loop.call_soon(_end_with, e)
            await loop.create_future()
        finally:
            for message in held:
                await send(message)

    return wrapped


def _end_with(error: NotImplementedError) -> None:
    raise _Unwritten(error)


class _BriefFormatter(logging.Formatter):
    """Formats an exception with the candidate's own frames, without those of libraries."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        _, error, trace = ei
        own = [
            f"  {os.path.relpath(path, scenario.root)}:{line} in {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(trace)
            if (path := frame.f_code.co_filename).startswith(scenario.root)
        ]
        return "\n".join([*own, f"  {type(error).__name__}: {error}"])


def _log_briefly() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_BriefFormatter("%(message)s"))
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
