"""HTTP messages in the terms of ASGI: the head and body of a request, the headers of a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote, unquote_plus

from archprep.review.access import TOKEN_PARAMETER

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 256 * 1024  # bytes
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # Not "no-referrer": browsers would then send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

_SECURITY_HEADERS = {name.encode(): value.encode() for name, value in SECURITY_HEADERS.items()}
_MAX_DIGITS = 9  # of a plausible Content-Length


class RejectedError(Exception):
    """The request is answered here and does not reach the application."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}


class RequestHead:
    """The request line and headers."""

    def __init__(self, scope: Message) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        self.query: bytes = scope["query_string"]
        self.has_control_characters = not all(" " <= letter != "\x7f" for letter in scope["path"])
        self._headers: list[tuple[bytes, bytes]] = [*scope["headers"]]

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        wanted = name.encode()
        return [v.decode("latin-1").strip() for n, v in self._headers if n == wanted]

    def one(self, name: str) -> str:
        """The value of a header; empty if it is missing or repeated."""
        found = self.all(name)
        return found[0] if len(found) == 1 else ""

    @property
    def host(self) -> str:
        """The Host header."""
        return self.one("host").lower()

    @property
    def tokens(self) -> list[str]:
        """The tokens in the query string."""
        return [unquote_plus(p.partition("=")[2]) for p in self._parameters() if _is_token(p)]

    @property
    def url_without_tokens(self) -> str:
        """The same URL without tokens. It has one leading slash: two would name another host."""
        rest = "&".join(p for p in self._parameters() if not _is_token(p))
        return "/" + self.path.decode("latin-1").lstrip("/\\") + (rest and f"?{rest}")

    def _parameters(self) -> list[str]:
        """Still encoded: a decoded line break would end a header."""
        return [pair for pair in self.query.decode("latin-1").split("&") if pair]

    def cookies(self, name: str) -> list[str]:
        """All values of a cookie."""
        pairs = [pair.partition("=") for line in self.all("cookie") for pair in line.split(";")]
        return [value.strip() for key, _, value in pairs if key.strip() == name]


def _is_token(parameter: str) -> bool:
    return unquote_plus(parameter.partition("=")[0]) == TOKEN_PARAMETER


async def read_body(head: RequestHead, receive: Receive) -> bytes | None:
    """The whole body; None if the client disconnects. Raises RejectedError if it is too large."""
    too_large = RejectedError(413, f"The request is larger than {MAX_BODY // 1024} KiB.")
    if any(_is_too_large(declared) for declared in head.all("content-length")):
        raise too_large
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise too_large
    return bytes(body)


def _is_too_large(declared: str) -> bool:
    return not declared.isdecimal() or len(declared) > _MAX_DIGITS or int(declared) > MAX_BODY


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns `body` first."""
    pending = [body]

    async def receive_again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again


class ResponseSender:
    """Sends a response with the security headers that it does not set itself."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        """Send the next message of the response."""
        if message["type"] == "http.response.start":
            self.has_started = True
            message = {**message, "headers": _with_security_headers(message.get("headers", ()))}
        await self._send(message)


def _with_security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = [(name, value) for name, value in headers if name.lower() != b"server"]
    names = {name.lower() for name, _ in given}
    return given + [(n, value) for n, value in _SECURITY_HEADERS.items() if n not in names]


async def send_rejection(send: Send, rejected: RejectedError) -> None:
    """Answer with a sentence as plain text."""
    text = f"{rejected.sentence}\n".encode()
    own = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(text))}
    headers = [(n.encode(), v.encode("latin-1")) for n, v in (own | rejected.headers).items()]
    await send({"type": "http.response.start", "status": rejected.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
