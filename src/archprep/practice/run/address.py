"""Where a service is found: a port that is held from the start, and its first answer."""

from __future__ import annotations

import http.client
import select
import socket

from archprep.core.errors import UsageError

HOST = "127.0.0.1"
ANSWER_SECONDS = 10.0  # for the rest of an answer that has begun
_BACKLOG = 100


def bound(preferred: int) -> socket.socket:
    """Return a socket that only this machine reaches: at the preferred port, or at a free one."""
    for port in (preferred, 0):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, port))
            made.listen(_BACKLOG)  # or two of them could be bound to the same port
        except OSError:
            made.close()
        else:
            return made
    raise UsageError(f"No port of {HOST} is free.", tip="End some programs, and try again.")


def url(listener: socket.socket) -> str:
    """Return the address of a service that listens there."""
    return "http://{}:{}".format(*listener.getsockname())


class Question:
    """A request that waits until somebody is there to answer it."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        host, port = listener.getsockname()
        self._asking = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        self._asking.request("GET", path)

    def status(self) -> int | None:
        """None as long as there is no answer; 0 for one that makes no sense."""
        if not select.select([self._asking.sock], [], [], 0)[0]:
            return None
        try:
            return self._asking.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            self._asking.close()
