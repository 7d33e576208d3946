"""The judge as client of an app, with a readable history of what was sent and what came back.

Tokens and ids, drawn or received, appear as symbols: "<the refresh token of step 3>". The
candidate reads what was presented to which endpoint, not random letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

from archprep.core.errors import CandidateError
from archprep.grading.http_client import REQUEST_SECONDS, HttpClient, Reply, Request
from archprep.grading.toolkit.replies import ReplyCheck

SHOWN = 9  # lines of a history
MOST_LINE = 600  # characters of a line
MOST_READ = 6000  # characters of a request or a body that are looked through
MOST_NAMES = 500  # that are learned: what comes back is the candidate's choice
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
# A received text that is taken for a token or an id: words have no digits, numbers no letters.
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])\S{8,}")

Headers = Sequence[tuple[str, str]]


class Symbols:
    """Names for random values, to show in their place."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, value: str, name: str) -> str:
        """Show `name` in place of `value` from now on; the first name stays. Returns the value."""
        self._names.setdefault(value, name)
        return value

    def learn(self, data: Any, where: str) -> None:
        """Name the tokens and ids in some JSON after their keys."""
        for key, value in _texts(data):
            if len(self._names) < MOST_NAMES and _RANDOM.fullmatch(value):
                self.name(value, f"the {key.replace('_', ' ')} of {where}")

    def replace_in(self, text: str) -> str:
        """Replace every known value in a text by its name."""
        for value in sorted(self._names, key=len, reverse=True):
            text = text.replace(value, f"<{self._names[value]}>")
        return text


def _texts(data: Any, key: str = "value") -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, Mapping):
        for name, value in data.items():
            yield from _texts(value, str(name))
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value, key)


@dataclass(frozen=True)
class Answer:
    """A reply, and the step of the history that led to it."""

    client: Client
    step: int
    reply: Reply

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is something else."""
        try:
            found = self.reply.json()
        except CandidateError:
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """A text of the body by its key; "" if it is missing or not a text."""
        found = self.body.get(name)
        return found if isinstance(found, str) else ""

    def check(self, calls: Mapping[str, Sized] | None = None) -> ReplyCheck:
        """Check the reply; a failure shows the history up to it."""
        return ReplyCheck(self.reply, self.client.history(until=self.step), calls=calls or {})


@dataclass
class Client:
    """Sends requests to the apps of a scenario and keeps a history in words.

    `common` are header fields sent with every request and never shown.
    """

    web: HttpClient
    symbols: Symbols = field(default_factory=Symbols)
    common: Headers = ()
    _lines: list[tuple[int, str]] = field(default_factory=list)  # the step, or 0, and its words
    _steps: int = 0

    def send(
        self,
        method: str,
        path: str,
        *,
        seconds: float = REQUEST_SECONDS,
        **content: Any,
    ) -> Answer:
        """Send a request and wait for its reply; for `content` see `request`."""
        return self.all([self.request(method, path, **content)], seconds=seconds)[0]

    def all(self, requests: Iterable[Request], *, seconds: float = REQUEST_SECONDS) -> list[Answer]:
        """Send requests at the same time; return their answers in the same order."""
        sent = [*requests]
        replies = self.web.all(sent, seconds=seconds)
        return [self.received(*pair) for pair in zip(sent, replies, strict=True)]

    def request(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        form: Mapping[str, str] | None = None,
        bearer: str | None = None,
        headers: Headers = (),
        app: int = 0,
    ) -> Request:
        """A request with a JSON body (`data`), a form, or neither."""
        fields, body = [*self.common, *headers], b""
        if bearer is not None:
            fields.append(("Authorization", f"Bearer {bearer}"))
        if data is not None:
            fields.append(("Content-Type", JSON))
            body = json.dumps(data).encode()
        if form is not None:
            fields.append(("Content-Type", FORM))
            body = urlencode(form).encode()
        return Request(method, path, tuple(fields), body, app=app)

    def received(self, request: Request, reply: Reply) -> Answer:
        """Record a reply to a request that was sent in another way, such as `web.begin`."""
        self._steps += 1
        answer = Answer(self, self._steps, reply)
        self.symbols.learn(answer.body, f"step {self._steps}")
        body = _decoded(reply.body)
        said = f"{self.describe(request)} -> {reply.status}{f' {body}' if body else ''}"
        self._lines.append((self._steps, _cut(self.symbols.replace_in(said), MOST_LINE)))
        return answer

    def note(self, line: str) -> None:
        """Add a line about something other than a request."""
        self._lines.append((0, self.symbols.replace_in(line)))

    def begin_anew(self) -> None:
        """Clear the history, since what follows does not depend on it; step numbers continue."""
        self._lines.clear()

    def describe(self, request: Request) -> str:
        """A request in words, with the number of the process if there are several."""
        fields = (
            request.headers.items() if isinstance(request.headers, Mapping) else request.headers
        )
        hidden = {"Content-Type", *(name for name, _ in self.common)}
        own = {name: value for name, value in fields if name not in hidden}
        parts = [f"{request.method} {request.path}", *(f"{k}: {v}" for k, v in own.items())]
        parts += [_body_in_words(request, dict(fields).get("Content-Type", ""))] * bool(
            request.body
        )
        return ", ".join(parts) + f", to process {request.app + 1}" * bool(request.app)

    def history(self, *, until: int | None = None) -> str:
        """The last lines, or the last lines up to a step, with symbols in place of values."""
        steps = [step for step, _ in self._lines]
        end = steps.index(until) + 1 if until in steps else len(steps)
        shown = self._lines[max(0, end - SHOWN) : end]
        return "\n".join(f"{step}. {line}" if step else line for step, line in shown)


def _body_in_words(request: Request, kind: str) -> str:
    if kind != FORM:
        return _decoded(request.body)
    return " ".join(f"{name}={value}" for name, value in parse_qsl(request.body.decode()))


def _decoded(body: bytes) -> str:
    return _cut(body[: 4 * MOST_READ].decode(errors="replace"), MOST_READ)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
