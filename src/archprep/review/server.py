"""A review from start to end: its port, its server, and what is said in the terminal.

The address is printed once and nowhere else, since it holds the token: requests are not logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
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
from archprep.interview import results
from archprep.review.marks import Marks
from archprep.review.results_reader import Reading
from archprep.review.security import HOST, Access, App, Guard
from archprep.sandbox import processes

PORT = 8765  # unless it is taken
LOCK = "review.lock"

_BACKLOG = 100
_LAST_REQUESTS_SECONDS = 1  # to be answered when it is to end


def serve(
    root: Path,
    *,
    port: int | None,
    reviewer: str,
    ready: Callable[[Access], None] | None = None,
    open_browser: bool = False,
) -> None:
    """Serve the results in `root` until Ctrl-C; `ready` is called as soon as it answers."""
    reading = Reading(root)
    with (
        contextlib.closing(Marks.open(root)) as marks,
        _held(root) as is_alone,
        _listener(port) as listener,
    ):
        access = Access.new(listener.getsockname()[1])
        ticket = secrets.token_urlsafe(32) if open_browser else ""

        def tell() -> None:
            terminal.console().print(heading, soft_wrap=True)
            for sentence in notices:
                terminal.say(sentence)
            if ticket:
                _open(access.url_with(ticket))
            if ready is not None:
                ready(access)

        with _until_interrupted():
            heading = _heading(reading, access)
            notices = _notices(reading, marks, is_alone=is_alone)
            app = _application(reading, marks, access, reviewer)
            _Server(Guard(app, access, ticket), tell).run(sockets=[listener])
        terminal.console().print("Ended." if marks.why_not else "Ended. All marks are saved.")


def _application(reading: Reading, marks: Marks, access: Access, reviewer: str) -> App:
    from archprep.review import app  # takes a while, for which no error should have to wait

    return app.make(reading, marks, access, reviewer)


# -- what is said -----------------------------------------------------------------------------


def _heading(reading: Reading, access: Access) -> str:
    count = len(reading.rows())
    candidates = "1 candidate" if count == 1 else f"{count:,} candidates"
    return f"{results.shown(reading.root)}: {candidates}\n{access.url}\nCtrl-C ends it."


def _notices(reading: Reading, marks: Marks, *, is_alone: bool) -> list[str]:
    found = []
    if reading.is_being_graded():
        found.append("`archprep grade` is at work there: you see what is there so far.")
    if not is_alone:
        found.append("Another review has this folder open. Both may mark: nothing is lost by that.")
    if marks.why_not:
        found.append(f"Marks cannot be saved: {sanitize(marks.why_not, 1000)}")
    return found


# -- the folder -------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(root: Path) -> Iterator[bool]:
    """Whether no other review has the folder open, now and by those who ask while we have it.

    Nobody is kept out: the lock is exclusive for an instant, to ask, and shared from then on.
    """
    import fcntl

    lock = _lock_file(root)
    if lock is None:
        yield True  # nobody can tell
        return
    try:
        alone = _is_locked(lock, fcntl.LOCK_EX)
        _is_locked(lock, fcntl.LOCK_SH)
        yield alone
    finally:
        os.close(lock)


def _lock_file(root: Path) -> int | None:
    """The descriptor of the lock; none where it does not exist and cannot be made."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(root / LOCK, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    return None


def _is_locked(lock: int, kind: int) -> bool:
    """Whether the lock is ours now; where there are no locks, it is."""
    import fcntl

    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


# -- the server -------------------------------------------------------------------------------


def _listener(port: int | None) -> socket.socket:
    """A socket that only this machine reaches: at the port asked for, else where there is room."""
    if port is not None:
        return _bound(port)
    try:
        return _bound(PORT)
    except UsageError:
        return _bound(0)


def _bound(port: int) -> socket.socket:
    # With the protocol's number asyncio knows it for TCP, and sends short answers at once.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise _no_port(port, error) from None
    return made


def _no_port(port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        message = f"Port {port} is in use."
    else:
        message = f"Port {port} cannot be used: {error.strerror}."
    return UsageError(message, tip="Name another one, or leave --port out: any that is free.")


class _Server(uvicorn.Server):
    """Calls `started` when it answers; says nothing by itself."""

    def __init__(self, app: App, started: Callable[[], None]) -> None:
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
            proxy_headers=False,  # nobody stands in front of it, so nobody is to be believed
            timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
        )
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        # A client that breaks off in the middle is no news.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await super().startup(sockets)
        self._tell()


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Take Ctrl-C for the end that it is meant to be; clean up on other signals, too."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    with contextlib.suppress(KeyboardInterrupt), processes.ended_by_signals():
        yield


def _open(url: str) -> None:
    """Show it in the browser, which may take its time."""

    def show() -> None:
        if not webbrowser.open(url):
            terminal.say("No browser was found here: open the address in one yourself.")

    threading.Thread(target=show, daemon=True).start()
