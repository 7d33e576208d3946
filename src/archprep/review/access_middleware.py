"""Decides which requests reach the application.

The server listens on loopback, where every user and every web page on the machine can reach it.
A request must therefore know the token and come from a page of this review. It must also use an
accepted host name: a foreign name that resolves to 127.0.0.1 would make its pages same-origin.
"""

from __future__ import annotations

from archprep.review.access import Access, is_equal
from archprep.review.http_messages import (
    App,
    Message,
    Receive,
    RejectedError,
    RequestHead,
    ResponseSender,
    Send,
    read_body,
    replay,
    send_rejection,
)

METHODS = ("GET", "HEAD", "POST")
MAX_URL = 4096  # characters of path and query

_OPEN_PRINTED_URL = "Open the address that `archprep review` has printed."
_INTERNAL_ERROR = "archprep itself failed. See the terminal in which it runs."


class AccessMiddleware:
    """Passes permitted requests on to `app`. A `ticket` is a token that works once."""

    def __init__(self, app: App, access: Access, ticket: str = "") -> None:
        self._app = app
        self._access = access
        self._ticket = ticket

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] == "http":
            await self._http(scope, receive, ResponseSender(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, send: ResponseSender) -> None:
        head = RequestHead(scope)
        try:
            self._check_head(head)
            if head.tokens:
                await self._exchange_token(head, send)
                return
            self._check_cookie(head)
            _check_origin(head)
            body = await read_body(head, receive)
        except RejectedError as rejected:
            await send_rejection(send, rejected)
            return
        if body is not None:
            await self._pass_on(scope, replay(body, receive), send)

    async def _pass_on(self, scope: Message, receive: Receive, send: ResponseSender) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            if not send.has_started:
                await send_rejection(send, RejectedError(500, _INTERNAL_ERROR))
            raise

    def _check_head(self, head: RequestHead) -> None:
        """Reject requests that are malformed or for another host, whoever sends them."""
        if head.host not in self._access.hosts:
            raise RejectedError(421, f"This server is only reachable as {self._access.hosts[0]}.")
        if len(head.path) + len(head.query) > MAX_URL:
            raise RejectedError(414, "The address is too long.")
        if head.method not in METHODS:
            allow = ", ".join(METHODS)
            raise RejectedError(405, f"Only {allow} are supported.", {"allow": allow})
        if not head.path.startswith(b"/") or head.has_control_characters:
            raise RejectedError(400, "The address is not valid.")

    async def _exchange_token(self, head: RequestHead, send: Send) -> None:
        """Move the token from the URL into a cookie: URLs are displayed, stored and shared."""
        if len(head.tokens) > 1 or not self._is_valid(head.tokens[0]):
            raise RejectedError(
                403, f"This address is not valid, or no longer. {_OPEN_PRINTED_URL}"
            )
        cookie = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = {"location": head.url_without_tokens, "set-cookie": cookie}
        await send_rejection(send, RejectedError(303, "Redirecting.", headers))

    def _is_valid(self, secret: str) -> bool:
        if self._ticket and is_equal(secret, self._ticket):
            self._ticket = ""
            return True
        return self._access.is_token(secret)

    def _check_cookie(self, head: RequestHead) -> None:
        # Check all of that name: a page on another port can set one that comes first.
        values = head.cookies(self._access.cookie)
        if not any(self._access.is_token(value) for value in values):
            raise RejectedError(403, _OPEN_PRINTED_URL)


def _check_origin(head: RequestHead) -> None:
    """Reject requests by other pages: browsers send the cookie for pages on other ports, too."""
    origins, site = head.all("origin"), head.one("sec-fetch-site")
    if origins:
        is_own = origins == [f"http://{head.host}"]
    elif head.method == "POST":
        is_own = site == "same-origin"
    else:  # any page may link here, but not embed images or scripts
        is_navigation = head.one("sec-fetch-mode") == "navigate"
        is_own = site not in {"same-site", "cross-site"} or is_navigation
    if not is_own:
        raise RejectedError(403, "Only pages of `archprep review` may send this request.")
