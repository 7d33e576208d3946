"""Forged HTTP replies, for scenarios that serve apps; recorded ones provide the shapes."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archprep.core.errors import CandidateError
from archprep.sandbox.scenario import Observation

if TYPE_CHECKING:
    from archprep.grading.candidate import ClientFactory

STATUSES = (200, 200, 201, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503)
REPLIES = "(replies)"  # the key of recorded replies; a probe cannot have this name

_FRAMING = ("content-length", "transfer-encoding", "connection")

Redraw = Callable[[random.Random, Any], Any]


@dataclass(frozen=True, slots=True)
class ForgedReply:
    """A reply that did not come from an app."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def encoded(self) -> bytes:
        """Return the bytes to send."""
        body = self.body.encode()
        lines = [f"HTTP/1.1 {self.status} Forged", f"content-length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in self.headers if k not in _FRAMING]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def redrawn(self, rng: random.Random, redraw: Redraw) -> ForgedReply:
        """Return a reply of the same shape: most statuses are kept, numbers and text are not."""
        try:
            body = json.dumps(redraw(rng, json.loads(self.body)))
        except ValueError:
            body = redraw(rng, self.body)
        headers = [
            (name, re.sub("[0-9]+", lambda _: str(rng.randrange(1000)), value))
            for name, value in self.headers
        ]
        return ForgedReply(rng.choice([self.status] * 20 + [*STATUSES]), headers, body)


class EndlessScenario:
    """A serving scenario that never ends by itself."""

    def elapsed(self) -> float:
        """Return the seconds on the clock."""
        return time.monotonic()

    def failure(self, seconds: float) -> None:
        """Report no error, as the scenario never fails."""
        time.sleep(min(seconds, 0.01))

    def result(self) -> Observation:
        """Return an observation without a value or output."""
        return Observation(None, output="")


def recording_client(recorded: dict[str, list[Any]]) -> ClientFactory:
    """Return an HTTP client class that adds the replies it receives to `recorded`."""
    from archprep.grading.http_client import Calls, HttpClient, Reply, Request

    class RecordingCalls:
        def __init__(self, calls: Calls) -> None:
            self._calls = calls

        def replies(self) -> list[Reply]:
            received = self._calls.replies()
            recorded.setdefault(REPLIES, []).extend(
                ForgedReply(reply.status, reply.headers, reply.body.decode(errors="replace"))
                for reply in received
            )
            return received

    class RecordingClient(HttpClient):
        def begin(self, requests: Iterable[Request], **options: Any) -> Any:
            return RecordingCalls(super().begin(requests, **options))

    return RecordingClient


def serve(listeners: list[socket.socket], answer: Callable[[], Any]) -> EndlessScenario:
    """Reply to every request with what `answer` returns, until the listeners are closed."""
    for listener in listeners:
        threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
    return EndlessScenario()


def _serve(listener: socket.socket, answer: Callable[[], Any]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError, CandidateError):
            connection.recv(65536)
            value = answer()
            reply = value if isinstance(value, ForgedReply) else _of_any_shape(value)
            connection.sendall(reply.encoded())


def _of_any_shape(value: Any) -> ForgedReply:
    rng = random.Random(repr(value))  # noqa: S311 - repeatable on purpose
    headers = [("content-type", "application/json"), ("retry-after", str(rng.randrange(99)))]
    return ForgedReply(rng.choice(STATUSES), headers, json.dumps(value))
