"""HTTP replies that no app gave, for forged scenarios that serve apps (forge.py)."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest import mock

from archprep.core.errors import CandidateError
from archprep.core.model import Limits
from archprep.sandbox.sandbox import Observation, Scenario

STATUSES = (200, 200, 201, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503)
ASKED = Scenario("(replies)", {}, {}, Limits())  # no probe can have this name

_FRAMING = ("content-length", "transfer-encoding", "connection")

Redraw = Callable[[random.Random, Any], Any]


@dataclass(frozen=True, slots=True)
class Forgery:
    """A reply that no app gave."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        body = self.body.encode()
        lines = [f"HTTP/1.1 {self.status} Forged", f"content-length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in self.headers if k not in _FRAMING]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def redrawn(self, rng: random.Random, redraw: Redraw) -> Forgery:
        """Another one of the same shape: most statuses, no number and no text stay."""
        try:
            body = json.dumps(redraw(rng, json.loads(self.body)))
        except ValueError:
            body = redraw(rng, self.body)
        headers = [
            (name, re.sub("[0-9]+", lambda _: str(rng.randrange(1000)), value))
            for name, value in self.headers
        ]
        return Forgery(rng.choice([self.status] * 20 + [*STATUSES]), headers, body)


class RunningScenario:
    """A scenario that never ends by itself."""

    def fate(self, patience: float) -> None:
        """Nothing has become of it, and nothing will."""
        time.sleep(min(patience, 0.01))

    def result(self) -> Observation:
        """Nothing was returned and nothing printed."""
        return Observation(None, output="")


@contextmanager
def recording(seen: dict[str, list[Any]]) -> Iterator[None]:
    """Add to `seen` what the apps reply meanwhile."""
    from archprep.grading.http_client import Calls, Reply

    genuine = Calls.replies

    def replies(self: Calls) -> list[Reply]:
        came = genuine(self)
        seen.setdefault(ASKED.probe, []).extend(
            Forgery(reply.status, reply.headers, reply.body.decode(errors="replace"))
            for reply in came
        )
        return came

    with mock.patch.object(Calls, "replies", replies):
        yield


def serve(listeners: list[socket.socket], answer: Callable[[], Any]) -> RunningScenario:
    """Answer every request with what `answer` says, until the listeners are closed."""
    for listener in listeners:
        threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
    return RunningScenario()


def _serve(listener: socket.socket, answer: Callable[[], Any]) -> None:
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with link, suppress(OSError, CandidateError):
            link.recv(65536)
            said = answer()
            link.sendall(said.encoded() if isinstance(said, Forgery) else _of_any_shape(said))


def _of_any_shape(value: Any) -> bytes:
    rng = random.Random(repr(value))  # noqa: S311 - repeatable on purpose
    fields = [("content-type", "application/json"), ("retry-after", str(rng.randrange(99)))]
    return Forgery(rng.choice(STATUSES), fields, json.dumps(value)).encoded()
