"""The judge as HTTP client of a server that nobody may trust.

Each request has a connection of its own, a total deadline by this side's clock and a cap on what
comes back. Nothing is followed, kept, decompressed or guessed; h11 refuses what breaks RFC 9112.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.worker import protocol

REQUEST_SECONDS = 5.0
MOST_BYTES = 2 << 20  # of one reply, with all its headers
MOST_BYTES_IN_ALL = 8 << 20  # of the replies of one scenario: parsed, they take 25 times as much
MOST_HEADER_BYTES = 64 << 10
MOST_HEADERS = 100  # as in http.client
MOST_HINTS = 100  # responses 1xx: each is quick to send and slow to read

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
# What became of the scenario, waiting for it at most so many seconds.
Fate = Callable[[float], CandidateError | None]

LOOK_EVERY = 0.002
LAST_WORDS = 1.0  # seconds for a scenario that has hung up to be known as ended
READING = 0.5  # seconds beyond a deadline for what has come before it


@dataclass(frozen=True, slots=True)
class Request:
    """A request to one of the apps that a probe serves."""

    method: str
    path: str
    headers: Headers = ()
    body: bytes = b""
    app: int = 0

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return f"{self.method} {sanitize(self.path, 120)}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `seconds` passed by the judge's clock from the first byte sent."""

    status: int
    headers: list[tuple[str, str]]  # names in lower case
    body: bytes
    seconds: float

    def header(self, name: str) -> str | None:
        """The value of a field, several lines joined as RFC 9110 section 5.3 says."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body as JSON, parsed as strictly as a frame; CandidateError when it is none."""
        try:
            (value,) = protocol.decode(b'{"body":' + self.body + b"}").values()
        except (protocol.ProtocolError, ValueError) as e:
            shown = sanitize(self.body[:200], 200)
            text = f"answered with a body that is no JSON ({sanitize(str(e), 100)}): {shown}"
            raise CandidateError(Reason.PROTOCOL, text) from None
        return value


class HttpClient:
    """The apps of one scenario. Whatever goes wrong is a CandidateError."""

    def __init__(self, paths: Sequence[Path], fate: Fate) -> None:
        self._paths = paths
        self._fate = fate
        self._received = 0
        self._begun: list[_Call] = []

    def get(self, path: str, headers: Headers = (), *, app: int = 0) -> Reply:
        """Send a GET request and wait for its reply."""
        return self.all([Request("GET", path, headers, app=app)])[0]

    def send(self, request: Request, *, seconds: float = REQUEST_SECONDS) -> Reply:
        """Send a request and wait for its reply, at most so many seconds."""
        return self.all([request], seconds=seconds)[0]

    def all(self, requests: Iterable[Request], *, seconds: float = REQUEST_SECONDS) -> list[Reply]:
        """Send requests at the same time; return their replies in the same order."""
        return self.begin(requests, seconds=seconds).replies()

    def begin(self, requests: Iterable[Request], *, seconds: float = REQUEST_SECONDS) -> Calls:
        """Send requests and do not wait for the replies."""
        calls: list[_Call] = []
        try:
            for request in requests:
                calls.append(_Call(request, time.monotonic() + seconds, seconds, self._count))
                calls[-1].begin(self._paths[request.app])
        except (CandidateError, OSError) as e:
            raise self._blame(calls, calls[-1], e) from None
        self._begun += calls
        return Calls(calls, self._blame)

    def close(self) -> None:
        """Hang up on whatever has not been waited for."""
        for call in self._begun:
            call.close()

    def wait_until(
        self, condition: Callable[[], bool], *, seconds: float = REQUEST_SECONDS
    ) -> bool:
        """Wait for what the app's calls bring about in the judge; False when it does not come.

        CandidateError as soon as the scenario has ended: nothing will come any more.
        """
        until = time.monotonic() + seconds
        while not condition():
            if found := self._fate(LOOK_EVERY):
                raise found
            if time.monotonic() > until:
                return False
        return True

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > MOST_BYTES_IN_ALL:
            text = f"answered with more than {MOST_BYTES_IN_ALL >> 20} MB in one scenario"
            raise CandidateError(Reason.OUTPUT, text)

    def _blame(
        self, calls: list[_Call], broken: _Call, error: CandidateError | OSError
    ) -> CandidateError:
        for call in calls:
            call.close()
        # What has ended an app that hung up says more than that it did.
        over = broken.hung_up or isinstance(error, OSError)
        if found := self._fate(LAST_WORDS if over else 0.0):
            return found
        if isinstance(error, CandidateError):
            return error
        text = f"closed the connection instead of answering {broken.request.name}"
        return CandidateError(Reason.PROTOCOL, text)


class Calls:
    """Requests under way."""

    def __init__(
        self,
        calls: list[_Call],
        blame: Callable[[list[_Call], _Call, CandidateError | OSError], CandidateError],
    ) -> None:
        self._calls = calls
        self._blame = blame

    def replies(self) -> list[Reply]:
        """Wait for every reply; they come in the order of the requests."""
        with selectors.DefaultSelector() as selector:
            for call in self._calls:
                selector.register(call.link, selectors.EVENT_READ, call)
            while selector.get_map():
                self._advance(selector)
        return [call.reply for call in self._calls if call.reply]

    def _advance(self, selector: selectors.BaseSelector) -> None:
        waiting: list[_Call] = [key.data for key in selector.get_map().values()]
        first = min(waiting, key=lambda call: call.deadline)
        call = first
        try:
            ready = selector.select(max(0.0, first.deadline - time.monotonic()))
            until = max(first.deadline, time.monotonic()) + READING
            for key, _ in ready:
                call = key.data
                call.read()
                if call.reply:
                    selector.unregister(call.link)
                    call.close()
                if time.monotonic() > until:
                    break  # many small pieces on many connections take long to read
            if first.reply is None and time.monotonic() > first.deadline:
                call = first
                raise first.too_late()
        except (CandidateError, OSError) as e:
            raise self._blame(self._calls, call, e) from None


@dataclass(slots=True)
class _Call:
    """One request on a connection of its own."""

    request: Request
    deadline: float
    seconds: float
    count: Callable[[int], None]  # what comes in
    reply: Reply | None = None
    hung_up: bool = False
    link: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.CLIENT, MOST_HEADER_BYTES)
    )
    _response: h11.Response | None = None
    _body: bytearray = field(default_factory=bytearray)
    _received: int = 0
    _hints: int = 0

    def begin(self, path: Path) -> None:
        """Connect and send."""
        try:
            self.link.settimeout(self._left())
            self.link.connect(str(path))
            self.link.settimeout(self._left())
            self.link.sendall(self._encoded())
        except BlockingIOError:
            text = f"your app accepts no more connections, so {self.request.name} was not sent"
            raise CandidateError(Reason.TIMEOUT, text) from None
        except TimeoutError:
            raise self.too_late() from None
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it read all; reading will tell
        self.link.setblocking(False)

    def read(self) -> None:
        """Read what has come, and never wait; sets `reply` when it is complete."""
        try:
            data = self.link.recv(65536)
        except BlockingIOError:
            return  # one byte sent out of band announces what never comes
        self.hung_up = not data
        self._received += len(data)
        self.count(len(data))
        if self._received > MOST_BYTES:
            text = f"answered {self.request.name} with more than {MOST_BYTES >> 20} MB"
            raise CandidateError(Reason.OUTPUT, text)
        try:
            self._http.receive_data(data)
            while self._act(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as e:
            raise self._broken(e) from None
        if self.hung_up and self.reply is None:
            raise ConnectionResetError

    def too_late(self) -> CandidateError:
        """The deadline is over."""
        begun = "finished answering" if self._received else "answered"
        text = f"your app had not {begun} {self.request.name} after {self.seconds:g} s"
        return CandidateError(Reason.TIMEOUT, text)

    def _left(self) -> float:
        return max(0.001, self.deadline - time.monotonic())

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self.link.close()

    def _encoded(self) -> bytes:
        given = self.request.headers
        pairs = list(given.items() if isinstance(given, Mapping) else given)
        # Neutral: an app must not learn from a header who asks, or what for.
        always = [("Host", "service"), ("Accept-Encoding", "identity"), ("Connection", "close")]
        if self.request.body:
            always.append(("Content-Length", str(len(self.request.body))))
        request = h11.Request(
            method=self.request.method, target=self.request.path, headers=always + pairs
        )
        events = (request, h11.Data(self.request.body), h11.EndOfMessage())
        return b"".join(self._http.send(event) or b"" for event in events)

    def _act(self, event: Any) -> bool:
        """Take one event; False when there is nothing more to take now."""
        match event:
            case h11.Response():
                self._begin_reply(event)
            case h11.Data():
                self._body += event.data
            case h11.EndOfMessage() | h11.ConnectionClosed():
                self._finish()
                return False
            case h11.InformationalResponse():
                self._hint()
            case _:
                return False
        return True

    def _begin_reply(self, response: h11.Response) -> None:
        if len(response.headers) > MOST_HEADERS:
            text = f"answered {self.request.name} with more than {MOST_HEADERS} header fields"
            raise CandidateError(Reason.OUTPUT, text)
        self._response = response

    def _hint(self) -> None:
        self._hints += 1
        if self._hints > MOST_HINTS:
            text = f"answered {self.request.name} with more than {MOST_HINTS} interim responses"
            raise CandidateError(Reason.OUTPUT, text)

    def _finish(self) -> None:
        if self._response is None:
            raise ConnectionResetError
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._response.headers
        ]
        taken = time.monotonic() - (self.deadline - self.seconds)
        self.reply = Reply(self._response.status_code, headers, bytes(self._body), taken)

    def _broken(self, error: Exception) -> CandidateError | OSError:
        if not self._received:
            return ConnectionResetError()
        said = sanitize(str(error), 200)
        return CandidateError(
            Reason.PROTOCOL, f"answered {self.request.name} with no valid HTTP ({said})"
        )
