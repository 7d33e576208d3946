"""ASGI calls of which the judge plays both ends: the server and the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from archprep.grading import Refuse, expect, exposed

from .telling import FIELDS, short

if TYPE_CHECKING:
    from .site import Person, Site

ADDED = {str([name]) for name in FIELDS}

Index = Annotated[int, Meta(ge=0)]
Step = list[Any]  # of the app: ["receives", message], ["sends", message], ["raises", name]


@dataclass
class Call:
    """One call of the middleware: its scope, what the app does, and what happened."""

    scope: dict[str, Any]
    steps: list[Step]
    story: list[Step] = field(default_factory=list)
    hits: int = 0

    def due(self) -> list[Step]:
        """What must happen: whatever the app sends is with the server before the app goes on."""
        ends = {"receives": "the app receives", "sends": "the server gets", "raises": "it raises"}
        told: list[Step] = [["the app is called with", self.scope]]
        told += [[ends[verb], what] for verb, what in self.steps]
        return told if self.steps[-1][0] == "raises" else [*told, ["it returns", None]]

    def _as_given(self, message: Any) -> Any:
        """An HTTP scope without what was added to it: a middleware may leave a note there."""
        if self.scope["type"] == "http" and isinstance(message, dict) and "path" in message:
            return {key: message[key] for key in self.scope if key in message}
        return message

    def check(self) -> None:
        """Compare the story with what is due."""
        kind = self.scope["type"]
        acts = "; ".join(f"{verb} {short(what)}" for verb, what in self.steps)
        given = f'an ASGI call of type "{kind}", under a rule for "/". The app {acts}'
        expect(
            (self.hits > 0) == (kind == "http"),
            expected="HTTP requests are limited; websockets and lifespan are not",
            observed=f"the limiter was called {self.hits} times",
            given=given,
        )
        seen = comparable([[what, self._as_given(message)] for what, message in self.story])
        for number, (what, message) in enumerate(comparable(self.due())):
            there = seen[number] if number < len(seen) else ["nothing more happens", None]
            expect(
                there == [what, message],
                expected="scope, messages and exceptions pass untouched, and at once. "
                f"Here: {what} {short(message)}",
                observed=f"{there[0]} {short(there[1])}",
                given=given,
            )


def comparable(story: list[Step]) -> list[Step]:
    """The story without what a middleware may do to a response: add fields, and cut pieces anew."""
    told: list[Step] = []
    for what, message in story:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "http.response.start":
            told.append([what, without_fields(message)])
        elif kind == "http.response.body":
            body, more = message.get("body"), message.get("more_body")
            told += [[what, f"a piece of the body, {body}"]] * bool(body)
            told += [[what, "the end of the body"]] * (not more)
        else:
            told.append([what, message])
    return told


def without_fields(start: dict[str, Any]) -> dict[str, Any]:
    """The start of a response less the fields that the middleware has to add."""
    pairs = start.get("headers")
    if not isinstance(pairs, list):
        return start
    added = [pair for pair in pairs if isinstance(pair, list) and str(pair[:1]).lower() in ADDED]
    left = [pair for pair in pairs if pair not in added]
    return {"type": start["type"], "status": start.get("status"), "headers": left}


class Wire:
    """Draws calls, and writes down what went where."""

    def __init__(self, site: Site, person: Person) -> None:
        self._site, self._person = site, person
        self.calls = [self._socket(), self._socket(), self._lifespan(), self._socket()]
        self.calls += [self._stream(), self._broken("KeyError"), self._broken("TimeoutError")]
        site.rng.shuffle(self.calls)

    # -- what happens; called by the probe

    @exposed
    def event(self, number: Index, what: str, message: Any) -> None:
        self._call(number).story.append([what, message])

    @exposed
    def hit(self, number: Index, policies: list[tuple[str, Any, Any, Any]]) -> dict[str, Any]:
        """Allow HTTP requests, and nothing else."""
        call = self._call(number)
        call.hits += 1
        names = [name for name, *_ in policies]
        return {
            "allowed": call.scope["type"] == "http",
            "remaining": dict.fromkeys(names, 7),
            "reset_s": dict.fromkeys(names, 1.5),
            "retry_after": 0,
        }

    def _call(self, number: int) -> Call:
        if number >= len(self.calls):
            raise Refuse(f"there is no call {number}")
        return self.calls[number]

    # -- drawing

    def _scope(self, kind: str, **more: Any) -> dict[str, Any]:
        name, value = self._person.header
        return {
            "type": kind,
            "path": f"/{self._site.word()}/{self._site.token()}",
            "headers": [["host", "service"], [name.lower(), value]],
            "client": [self._site.address(), self._site.rng.randint(1024, 60000)],
            **more,
        }

    def _socket(self) -> Call:
        token = self._site.token
        scope = self._scope("websocket", scheme="wss", subprotocols=[token()])
        steps: list[Step] = [
            ["receives", {"type": "websocket.connect"}],
            ["sends", {"type": "websocket.accept", "subprotocol": token(), "headers": []}],
            ["receives", {"type": "websocket.receive", "text": token()}],
            ["sends", {"type": "websocket.send", "text": token()}],
        ]
        return Call(scope, steps)

    def _lifespan(self) -> Call:
        steps: list[Step] = []
        for turn in ("startup", "shutdown"):
            steps.append(["receives", {"type": f"lifespan.{turn}"}])
            steps.append(["sends", {"type": f"lifespan.{turn}.complete"}])
        return Call({"type": "lifespan", "state": {self._site.token(): 1}}, steps)

    def _stream(self) -> Call:
        """A response in pieces, answered while the request is still coming in."""
        token = self._site.token
        start = {"type": "http.response.start", "status": 200, "headers": [["x-serial", token()]]}
        steps: list[Step] = [["sends", start]]
        for _ in range(3):
            piece = {"type": "http.request", "body": token(), "more_body": True}
            steps.append(["receives", piece])
            steps.append(
                ["sends", {"type": "http.response.body", "body": token(), "more_body": True}]
            )
        last = {"type": "http.response.body", "body": token(), "more_body": False}
        return Call(self._scope("http", method="POST"), [*steps, ["sends", last]])

    def _broken(self, name: str) -> Call:
        return Call(self._scope("http", method="GET"), [["raises", name]])
