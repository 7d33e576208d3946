"""The socket of a service, bound before the service starts, and the first request to it."""

from __future__ import annotations

import http.client
import select
import socket

from archprep.core.errors import UsageError

HOST = "127.0.0.1"
_ANSWER_SECONDS = 10.0  # for the rest of an answer that has begun
_BACKLOG = 100


def bind(preferred: int) -> socket.socket:
    """Return a socket that only this machine can reach, on the preferred or another free port."""
    for port in (preferred, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(_BACKLOG)  # before this, another process could bind the same port
        except OSError:
            listener.close()
        else:
            return listener
    raise UsageError(f"{HOST} has no free port.", tip="Stop some programs and try again.")


def url(listener: socket.socket) -> str:
    """Return the address of the service that listens on this socket."""
    return "http://{}:{}".format(*listener.getsockname())


class FirstRequest:
    """A GET request that waits in the socket's queue until the service starts."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        host, port = listener.getsockname()
        self._connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
        self._connection.request("GET", path)

    def status(self) -> int | None:
        """Return the status of the answer: None before it arrives, 0 if it is not valid HTTP."""
        if not select.select([self._connection.sock], [], [], 0)[0]:
            return None
        try:
            return self._connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            self._connection.close()
