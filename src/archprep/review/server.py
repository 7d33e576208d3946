"""Runs a review from start to end: the port, the server and the terminal output.

The URL contains the token, so it is printed once and requests are not logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from archprep.core import terminal
from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.text import shown
from archprep.review.access import HOST, Access
from archprep.review.access_middleware import AccessMiddleware
from archprep.review.http_messages import App
from archprep.review.mark_store import MarkStore
from archprep.review.results_reader import ResultsReader
from archprep.review.review_lock import shared_lock
from archprep.sandbox import processes

DEFAULT_PORT = 8765

_BACKLOG = 100
_SHUTDOWN_SECONDS = 1  # for requests in progress


def serve(
    root: Path,
    *,
    port: int | None,
    reviewer: str,
    ready: Callable[[Access], None] | None = None,
    open_browser: bool = False,
) -> None:
    """Serve the results in `root` until Ctrl-C. `ready` is called once requests are answered."""
    reader = ResultsReader(root)
    with (
        contextlib.closing(MarkStore.open(root)) as marks,
        shared_lock(root) as is_alone,
        _listen(port) as listener,
    ):
        access = Access.new(listener.getsockname()[1])
        ticket = secrets.token_urlsafe(32) if open_browser else ""

        def announce() -> None:
            terminal.console().print(heading, soft_wrap=True)
            for notice in notices:
                terminal.say(notice)
            if ticket:
                _open_browser(access.url_with(ticket))
            if ready is not None:
                ready(access)

        with _until_interrupted():
            heading = _heading(reader, access)
            notices = _notices(reader, marks, is_alone=is_alone)
            app = _application(reader, marks, access, reviewer)
            _Server(AccessMiddleware(app, access, ticket), announce).run(sockets=[listener])
        saved = "" if marks.read_only_reason else " All marks are saved."
        terminal.console().print(f"Stopped.{saved}")


def _application(reader: ResultsReader, marks: MarkStore, access: Access, reviewer: str) -> App:
    from archprep.review import app  # slow to import: errors above are reported first

    return app.create_app(reader, marks, access, reviewer)


# ------------------------------------------------------------------ terminal output


def _heading(reader: ResultsReader, access: Access) -> str:
    count = len(reader.rows())
    candidates = "1 candidate" if count == 1 else f"{count:,} candidates"
    return f"{shown(reader.root)}: {candidates}\n{access.url}\nPress Ctrl-C to stop."


def _notices(reader: ResultsReader, marks: MarkStore, *, is_alone: bool) -> list[str]:
    found = []
    if reader.is_being_graded():
        found.append("`archprep grade` is still running: more results will appear.")
    if not is_alone:
        found.append("Another review has this folder open. Both can save marks.")
    if marks.read_only_reason:
        found.append(f"Marks cannot be saved: {sanitize(marks.read_only_reason, 1000)}")
    return found


# ------------------------------------------------------------------ the server


def _listen(port: int | None) -> socket.socket:
    """A socket on loopback: at `port`, or at the default port, or at any free one."""
    if port is not None:
        return _bind(port)
    try:
        return _bind(DEFAULT_PORT)
    except UsageError:
        return _bind(0)


def _bind(port: int) -> socket.socket:
    # With an explicit protocol asyncio recognizes TCP and sets TCP_NODELAY.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _port_error(port, error) from None
    return listener


def _port_error(port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        message = f"Port {port} is already in use."
    else:
        message = f"Port {port} cannot be used: {error.strerror}."
    return UsageError(message, tip="Choose another port, or omit --port to use any free one.")


class _Server(uvicorn.Server):
    """Prints nothing itself, and calls `on_started` once it answers requests."""

    def __init__(self, app: App, on_started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # there is no proxy, so such headers are forged
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer requests."""
        # A client that disconnects early is not an error.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await super().startup(sockets)
        self._on_started()


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Treat Ctrl-C as the normal end, and clean up on other signals."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    with contextlib.suppress(KeyboardInterrupt), processes.ended_by_signals():
        yield


def _open_browser(url: str) -> None:
    """Open the browser without waiting for it."""

    def show() -> None:
        if not webbrowser.open(url):
            terminal.say("No browser was found. Open the address above in one.")

    threading.Thread(target=show, daemon=True).start()
