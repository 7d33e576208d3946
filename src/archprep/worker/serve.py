"""Serves an ASGI app on a socket that the judge has made; for probes of HTTP exercises.

The judge's own processes never import this: it needs uvicorn, which the exercise's packages bring.
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

FIRST_ERROR = 500  # of the status codes that say that the server is at fault


def serve(app: Any, listener: socket.socket) -> None:
    """Serve `app` until the judge ends the scenario."""
    import uvicorn

    config = uvicorn.Config(
        _unwritten_ends_it(app),
        http="h11",  # in pure Python: one implementation, whatever else is installed
        ws="none",
        interface="asgi3",
        access_log=False,
        proxy_headers=False,  # whom to trust is often what is graded
        server_header=False,
        log_config=None,
    )
    _log_briefly()
    # Not asyncio.run(): it would cancel the requests under way, and uvicorn answer them.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(uvicorn.Server(config).serve(sockets=[listener]))
    except _Unwritten as e:
        raise e.error from None
    raise RuntimeError("the app did not start, or ended by itself")


def serve_each(make_app: Callable[[int], Any], listeners: list[socket.socket]) -> None:
    """Serve one app per listener, each in a process of its own: they share no memory."""
    turn, giver = os.pipe()
    os.write(giver, b"1")
    number = 0
    for other in range(1, len(listeners)):
        if os.fork() == 0:
            number = other
            break
    for listener in listeners[:number] + listeners[number + 1 :]:
        listener.close()
    try:
        serve(make_app(number), listeners[number])
    except BaseException as e:  # noqa: BLE001 - all of it is the candidate's doing
        os.read(turn, 1)  # one of them tells the judge; the others wait here for their end
        scenario.report(e)
        os._exit(1)


class _Unwritten(SystemExit):
    """Ends the loop at once: an error response would hide that code is still to be written."""

    def __init__(self, error: NotImplementedError) -> None:
        self.error = error


def _unwritten_ends_it(app: Any) -> Any:
    """Wrap `app`: an error response is kept back until it is clear what has led to it."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        kept: list[Any] = []

        async def keep_errors(message: Any) -> None:
            if kept or message.get("status", 0) >= FIRST_ERROR:
                kept.append(message)
            else:
                await send(message)

        try:
            await app(scope, receive, keep_errors)
        except NotImplementedError as e:
            loop = asyncio.get_running_loop()
            loop.call_soon(_end_with, e)
            await loop.create_future()
        finally:
            for message in kept:
                await send(message)

    return guarded


def _end_with(error: NotImplementedError) -> None:
    raise _Unwritten(error)


class _Brief(logging.Formatter):
    """Tells an exception by the candidate's own frames; the libraries' are many and not theirs."""

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
    handler.setFormatter(_Brief("%(message)s"))
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
