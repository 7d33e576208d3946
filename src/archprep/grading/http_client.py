"""The judge as HTTP client of an untrusted server.

Each request has its own connection, a total deadline and a cap on the size of its reply.
Redirects are not followed, cookies not kept, bodies not decompressed; h11 refuses what breaks
RFC 9112. Deadlines count the time for which the server could have run (`sandbox.deadline`).
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11

from archprep.core.errors import CandidateError
from archprep.core.model import Reason
from archprep.core.sanitize import sanitize
from archprep.worker import protocol

if TYPE_CHECKING:
    from archprep.grading.scenario_runner import ServingScenario

REQUEST_SECONDS = 5.0
SEND_SECONDS = 5.0  # of wall time, for connecting and sending: the backlog takes both at once
WAIT_SECONDS = 0.02  # between two looks at the clock
MAX_BYTES = 2 << 20  # of one reply, with all its headers
MAX_TOTAL_BYTES = 8 << 20  # of the replies of one scenario: parsed, they take 25 times as much
MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 100  # as in http.client
MAX_INTERIM = 100  # responses 1xx: each is quick to send and slow to read

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

POLL_SECONDS = 0.002
EXIT_GRACE_SECONDS = 1.0  # for a scenario that has closed its connection to be known as ended
READING_SECONDS = 0.5  # beyond a deadline, for what has arrived before it


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
        """Its name in a sentence."""
        return f"{self.method} {sanitize(self.path, 120)}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply. `seconds` from the first byte sent, as far as the server could have run."""

    status: int
    headers: list[tuple[str, str]]  # names in lower case
    body: bytes
    seconds: float

    def header(self, name: str) -> str | None:
        """The value of a field; several lines are joined as in RFC 9110, section 5.3."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body as JSON, parsed as strictly as a frame; CandidateError if it is invalid."""
        try:
            (value,) = protocol.decode(b'{"body":' + self.body + b"}").values()
        except (protocol.ProtocolError, ValueError) as e:
            shown = sanitize(self.body[:200], 200)
            text = f"answered with a body that is not valid JSON ({sanitize(str(e), 100)}): {shown}"
            raise CandidateError(Reason.PROTOCOL, text) from None
        return value


class HttpClient:
    """Sends requests to the apps of one scenario. Whatever goes wrong is a CandidateError."""

    def __init__(self, paths: Sequence[Path], scenario: ServingScenario) -> None:
        self._paths = paths
        self._scenario = scenario
        self._received = 0
        self._begun: list[_Call] = []

    def get(self, path: str, headers: Headers = (), *, app: int = 0) -> Reply:
        """Send a GET request and wait for its reply."""
        return self.all([Request("GET", path, headers, app=app)])[0]

    def send(self, request: Request, *, seconds: float = REQUEST_SECONDS) -> Reply:
        """Send a request and wait at most `seconds` for its reply."""
        return self.all([request], seconds=seconds)[0]

    def all(self, requests: Iterable[Request], *, seconds: float = REQUEST_SECONDS) -> list[Reply]:
        """Send requests at the same time; return their replies in the same order."""
        return self.begin(requests, seconds=seconds).replies()

    def begin(self, requests: Iterable[Request], *, seconds: float = REQUEST_SECONDS) -> Calls:
        """Send requests without waiting for their replies."""
        calls: list[_Call] = []
        try:
            for request in requests:
                calls.append(_Call(request, self._scenario.elapsed, seconds, self._count))
                calls[-1].begin(self._paths[request.app])
        except (CandidateError, OSError) as e:
            raise self._blame(calls, calls[-1], e) from None
        self._begun += calls
        return Calls(calls, self._blame)

    def close(self) -> None:
        """Close the connections of replies that were not awaited."""
        for call in self._begun:
            call.close()

    def wait_until(
        self, condition: Callable[[], bool], *, seconds: float = REQUEST_SECONDS
    ) -> bool:
        """Wait until the app's calls of fakes make `condition` true; False if they do not in time.

        CandidateError as soon as the scenario has ended, since no more calls can come.
        """
        until = self._scenario.elapsed() + seconds
        while not condition():
            if found := self._scenario.failure(POLL_SECONDS):
                raise found
            if self._scenario.elapsed() > until:
                return False
        return True

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > MAX_TOTAL_BYTES:
            text = f"answered with more than {MAX_TOTAL_BYTES >> 20} MB in one scenario"
            raise CandidateError(Reason.OUTPUT, text)

    def _blame(
        self, calls: list[_Call], broken: _Call, error: CandidateError | OSError
    ) -> CandidateError:
        for call in calls:
            call.close()
        # Why the scenario ended says more than that its connection was closed.
        over = broken.hung_up or isinstance(error, OSError)
        if found := self._scenario.failure(EXIT_GRACE_SECONDS if over else 0.0):
            return found
        if isinstance(error, CandidateError):
            return error
        text = f"closed the connection instead of answering {broken.request.name}"
        return CandidateError(Reason.PROTOCOL, text)


class Calls:
    """Requests that have been sent."""

    def __init__(
        self,
        calls: list[_Call],
        blame: Callable[[list[_Call], _Call, CandidateError | OSError], CandidateError],
    ) -> None:
        self._calls = calls
        self._blame = blame

    def replies(self) -> list[Reply]:
        """Wait for all replies and return them in the order of the requests."""
        with selectors.DefaultSelector() as selector:
            for call in self._calls:
                selector.register(call.link, selectors.EVENT_READ, call)
            while selector.get_map():
                self._advance(selector)
        return [call.reply for call in self._calls if call.reply]

    def _advance(self, selector: selectors.BaseSelector) -> None:
        waiting: list[_Call] = [key.data for key in selector.get_map().values()]
        first = min(waiting, key=lambda call: call.seconds_left())
        call = first
        try:
            left = max(0.0, first.seconds_left())
            ready = selector.select(min(left, WAIT_SECONDS))
            until = time.monotonic() + left + READING_SECONDS
            for key, _ in ready:
                call = key.data
                call.read()
                if call.reply:
                    selector.unregister(call.link)
                    call.close()
                if time.monotonic() > until:
                    break  # many small pieces on many connections take long to read
            if first.reply is None and first.seconds_left() <= 0:
                call = first
                raise first.too_late()
        except (CandidateError, OSError) as e:
            raise self._blame(self._calls, call, e) from None


@dataclass(slots=True)
class _Call:
    """One request on its own connection; `clock` counts the seconds of its deadline."""

    request: Request
    clock: Callable[[], float]
    seconds: float
    count: Callable[[int], None]  # is given the size of each piece received
    reply: Reply | None = None
    hung_up: bool = False
    link: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.CLIENT, MAX_HEADER_BYTES)
    )
    _response: h11.Response | None = None
    _body: bytearray = field(default_factory=bytearray)
    _received: int = 0
    _interim: int = 0
    _began: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()

    def begin(self, path: Path) -> None:
        """Connect and send."""
        try:
            self.link.settimeout(SEND_SECONDS)
            self.link.connect(str(path))
            self.link.settimeout(SEND_SECONDS)
            self.link.sendall(self._encoded())
        except BlockingIOError:
            text = f"your app accepts no more connections: {self.request.name} was not sent"
            raise CandidateError(Reason.TIMEOUT, text) from None
        except TimeoutError:
            raise self.too_late() from None
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before reading everything; reading will tell
        self.link.setblocking(False)

    def read(self) -> None:
        """Read what has arrived, without waiting; sets `reply` when it is complete."""
        try:
            data = self.link.recv(65536)
        except BlockingIOError:
            return  # a byte sent out of band announces data that never comes
        self.hung_up = not data
        self._received += len(data)
        self.count(len(data))
        if self._received > MAX_BYTES:
            text = f"answered {self.request.name} with more than {MAX_BYTES >> 20} MB"
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
        """The deadline has passed."""
        begun = "finished answering" if self._received else "answered"
        text = f"your app had not {begun} {self.request.name} after {self.seconds:g} s"
        return CandidateError(Reason.TIMEOUT, text)

    def seconds_left(self) -> float:
        """The seconds until the deadline, negative after it."""
        return self._began + self.seconds - self.clock()

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self.link.close()

    def _encoded(self) -> bytes:
        given = self.request.headers
        pairs = list(given.items() if isinstance(given, Mapping) else given)
        # Neutral: an app must not learn from a header who is asking, or why.
        always = [("Host", "service"), ("Accept-Encoding", "identity"), ("Connection", "close")]
        if self.request.body:
            always.append(("Content-Length", str(len(self.request.body))))
        request = h11.Request(
            method=self.request.method, target=self.request.path, headers=always + pairs
        )
        events = (request, h11.Data(self.request.body), h11.EndOfMessage())
        return b"".join(self._http.send(event) or b"" for event in events)

    def _act(self, event: Any) -> bool:
        """Handle one event; False if there is no other one yet."""
        match event:
            case h11.Response():
                self._begin_reply(event)
            case h11.Data():
                self._body += event.data
            case h11.EndOfMessage() | h11.ConnectionClosed():
                self._finish()
                return False
            case h11.InformationalResponse():
                self._count_interim()
            case _:
                return False
        return True

    def _begin_reply(self, response: h11.Response) -> None:
        if len(response.headers) > MAX_HEADERS:
            text = f"answered {self.request.name} with more than {MAX_HEADERS} header fields"
            raise CandidateError(Reason.OUTPUT, text)
        self._response = response

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            text = f"answered {self.request.name} with more than {MAX_INTERIM} interim responses"
            raise CandidateError(Reason.OUTPUT, text)

    def _finish(self) -> None:
        if self._response is None:
            raise ConnectionResetError
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._response.headers
        ]
        taken = self.clock() - self._began
        self.reply = Reply(self._response.status_code, headers, bytes(self._body), taken)

    def _broken(self, error: Exception) -> CandidateError | OSError:
        if not self._received:
            return ConnectionResetError()
        said = sanitize(str(error), 200)
        return CandidateError(
            Reason.PROTOCOL, f"answered {self.request.name} with invalid HTTP ({said})"
        )
