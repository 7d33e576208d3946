"""Who may ask, and what every answer says to the browser: a layer around the application.

The server listens on loopback, where every user and every web page of the machine can reach it.
So whoever asks must know the token, a page must come from here, and the name by which we are
called must be ours, or a name that resolves to 127.0.0.1 would make a stranger's page one of us.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_plus

Message = MutableMapping[str, Any]  # the words of ASGI
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"
METHODS = ("GET", "HEAD", "POST")
MOST_TARGET = 4096  # characters of path and query
MOST_BODY = 256 * 1024  # bytes
HEADERS = {
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

_HEADERS = {name.encode(): value.encode() for name, value in HEADERS.items()}
_OPEN_IT = "Open the address that `archprep review` has printed."
_OUR_FAULT = "archprep itself failed. The terminal that it runs in says more."
_TOKEN = "token"  # noqa: S105 - the parameter's name
_HTTP_PORT = 80  # which browsers leave out
_DIGITS = 9  # of a length that is not absurd


@dataclass(frozen=True, slots=True)
class Access:
    """Where the application is reached, and the secret that opens it."""

    token: str = field(repr=False)
    port: int

    @classmethod
    def new(cls, port: int) -> Access:
        """Draw a token for the application at `port`."""
        return cls(secrets.token_urlsafe(32), port)

    @property
    def url(self) -> str:
        """The address that opens it."""
        return self.url_with(self.token)

    def url_with(self, secret: str) -> str:
        """The address that opens it with this token or ticket."""
        return f"http://{HOST}:{self.port}/?{_TOKEN}={secret}"

    @property
    def cookie(self) -> str:
        """The name of the cookie; with the port, since cookies do not tell ports apart."""
        return f"archprep-review-{self.port}"

    @property
    def form_key(self) -> str:
        """What each form of ours carries in the field `key`."""
        return hmac.new(self.token.encode(), b"form", hashlib.sha256).hexdigest()

    def is_form_key(self, text: str) -> bool:
        """Whether a form is one of ours."""
        return _same(text, self.form_key)

    def is_token(self, text: str) -> bool:
        """Whether somebody knows the token."""
        return _same(text, self.token)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser may call us."""
        names = (HOST, "localhost")
        bare = names if self.port == _HTTP_PORT else ()
        return (*(f"{name}:{self.port}" for name in names), *bare)


class Guard:
    """Lets through to `app` who may ask. A `ticket` is a token that opens it once."""

    def __init__(self, app: App, access: Access, ticket: str = "") -> None:
        self._app = app
        self._access = access
        self._ticket = ticket

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "http":
            await self._http(scope, receive, _Answer(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, answer: _Answer) -> None:
        asked = _Asked(scope)
        try:
            self._check_form(asked)
            if asked.tokens:
                await self._let_in(asked, answer)
                return
            self._check_cookie(asked)
            _check_origin(asked)
            body = await _body(asked, receive)
        except _Refused as refused:
            await _say(answer, refused)
            return
        if body is not None:
            await self._pass_on(scope, _replayed(body, receive), answer)

    async def _pass_on(self, scope: Message, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        except Exception:
            if not answer.begun:
                await _say(answer, _Refused(500, _OUR_FAULT))
            raise

    def _check_form(self, asked: _Asked) -> None:
        """Whether it is a request that we answer at all, from whomever."""
        if asked.host not in self._access.hosts:
            raise _Refused(421, f"This is {self._access.hosts[0]}, and goes by no other name.")
        if len(asked.path) + len(asked.query) > MOST_TARGET:
            raise _Refused(414, "The address is too long.")
        if asked.method not in METHODS:
            raise _Refused(405, "This cannot be done.", {"allow": ", ".join(METHODS)})
        if not asked.path.startswith(b"/") or asked.has_controls:
            raise _Refused(400, "The address is no path.")

    async def _let_in(self, asked: _Asked, send: Send) -> None:
        """Turn the token in the address into a cookie: an address is shown, kept and sent on."""
        if len(asked.tokens) > 1 or not self._opens(asked.tokens[0]):
            raise _Refused(403, f"This address is not, or no longer, the right one. {_OPEN_IT}")
        cookie = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = {"location": asked.without_token, "set-cookie": cookie}
        await _say(send, _Refused(303, "Go on.", headers))

    def _opens(self, secret: str) -> bool:
        if self._ticket and _same(secret, self._ticket):
            self._ticket = ""
            return True
        return self._access.is_token(secret)

    def _check_cookie(self, asked: _Asked) -> None:
        # All of that name: the page of another port can set one that comes first.
        given = asked.cookies(self._access.cookie)
        if not any(self._access.is_token(value) for value in given):
            raise _Refused(403, _OPEN_IT)


def _check_origin(asked: _Asked) -> None:
    """Whether a page of ours asks: pages of other ports are sent our cookie as well."""
    origins, site = asked.all("origin"), asked.one("sec-fetch-site")
    if origins:
        ours = origins == [f"http://{asked.host}"]
    elif asked.method == "POST":
        ours = site == "same-origin"
    else:  # a link may be anywhere; what loads a picture or a script of ours may not
        ours = site not in {"same-site", "cross-site"} or asked.one("sec-fetch-mode") == "navigate"
    if not ours:
        raise _Refused(403, "Only pages of `archprep review` may ask this.")


class _Refused(Exception):  # noqa: N818 - a request that is answered here
    """What is answered instead of the application."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}


class _Asked:
    """The head of a request."""

    def __init__(self, scope: Message) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        self.query: bytes = scope["query_string"]
        self.has_controls = not all(" " <= letter != "\x7f" for letter in scope["path"])
        self._headers: list[tuple[bytes, bytes]] = [*scope["headers"]]

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        wanted = name.encode()
        return [v.decode("latin-1").strip() for n, v in self._headers if n == wanted]

    def one(self, name: str) -> str:
        """The value of a header that comes once, else nothing."""
        found = self.all(name)
        return found[0] if len(found) == 1 else ""

    @property
    def host(self) -> str:
        """By which name we are asked."""
        return self.one("host").lower()

    @property
    def tokens(self) -> list[str]:
        """The tokens in the address."""
        return [unquote_plus(p.partition("=")[2]) for p in self._parameters() if _is_token(p)]

    @property
    def without_token(self) -> str:
        """The same address without them; one slash, or it could name another host."""
        rest = "&".join(p for p in self._parameters() if not _is_token(p))
        return "/" + self.path.decode("latin-1").lstrip("/\\") + (rest and f"?{rest}")

    def _parameters(self) -> list[str]:
        """As they were sent: what is decoded could end a header."""
        return [pair for pair in self.query.decode("latin-1").split("&") if pair]

    def cookies(self, name: str) -> list[str]:
        """The values of a cookie."""
        pairs = [pair.partition("=") for line in self.all("cookie") for pair in line.split(";")]
        return [value.strip() for key, _, value in pairs if key.strip() == name]


def _is_token(parameter: str) -> bool:
    return unquote_plus(parameter.partition("=")[0]) == _TOKEN


async def _body(asked: _Asked, receive: Receive) -> bytes | None:
    """Read the body to its end, if it has a size that we take; None when they hang up before."""
    too_large = _Refused(413, f"That is too much: at most {MOST_BODY // 1024} KiB are taken.")
    if any(_is_huge(declared) for declared in asked.all("content-length")):
        raise too_large
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY:
            raise too_large
    return bytes(body)


def _is_huge(declared: str) -> bool:
    return not declared.isdecimal() or len(declared) > _DIGITS or int(declared) > MOST_BODY


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give the application what was read for it, and then what follows."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


class _Answer:
    """Sends an answer on its way, with the headers that it lacks."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        """Send the next part of it."""
        if message["type"] == "http.response.start":
            self.begun = True
            message = {**message, "headers": _with_ours(message.get("headers", ()))}
        await self._send(message)


def _with_ours(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = [(name, value) for name, value in headers if name.lower() != b"server"]
    there = {name.lower() for name, _ in given}
    return given + [(name, value) for name, value in _HEADERS.items() if name not in there]


async def _say(send: Send, answer: _Refused) -> None:
    text = f"{answer.sentence}\n".encode()
    own = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(text))}
    headers = [(n.encode(), v.encode("latin-1")) for n, v in (own | answer.headers).items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _same(text: str, secret: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(text.encode("utf-8", "replace"), secret.encode())
