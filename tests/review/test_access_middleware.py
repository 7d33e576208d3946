"""Only requests with the token and from pages of the review reach the application."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

pytest.importorskip("fastapi")

import httpx

from archprep.review.access import Access
from archprep.review.access_middleware import MAX_URL, AccessMiddleware
from archprep.review.http_messages import MAX_BODY, SECURITY_HEADERS

ACCESS = Access("the-right-token", 8765)
BASE = "http://127.0.0.1:8765"
COOKIE = f"{ACCESS.cookie}={ACCESS.token}"
OURS = {"origin": BASE}


class Application:
    """Records what reaches it, and answers with the size of the body."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.error: Exception | None = None
        self.fails_late = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert not message["more_body"]
        self.seen.append((scope["method"], scope["path"], len(message["body"])))
        if self.error and not self.fails_late:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        if self.error:
            raise self.error
        await send({"type": "http.response.body", "body": b"inside"})


@pytest.fixture
def app() -> Application:
    return Application()


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(app: Application) -> Ask:
    """Send a request through the middleware, by default with a valid cookie."""
    guard = AccessMiddleware(app, ACCESS, "a-ticket")

    def send(
        method: str = "GET",
        url: str = "/",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        *,
        cookie: str = COOKIE,
        content: Any = None,
    ) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                given = [*(headers.items() if isinstance(headers, dict) else headers or ())]
                all_ = [*given, *([("cookie", cookie)] if cookie else [])]
                return await client.request(method, url, headers=all_, content=content)

        return asyncio.run(once())

    return send


def is_inside(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.text == "inside"


# ------------------------------------------------------------------ secrets


def test_each_review_has_its_own_token() -> None:
    """Its repr does not show it."""
    one, other = Access.new(1), Access.new(1)
    assert one.token != other.token
    assert len(one.token) >= 43  # 256 bits
    assert one.token not in repr(one)
    assert one.url == f"http://127.0.0.1:1/?token={one.token}"


def test_a_form_key_is_derived_from_the_token() -> None:
    """The token cannot be derived from it."""
    other = Access("another", 8765)
    assert ACCESS.is_form_key(ACCESS.form_key)
    for wrong in ("", ACCESS.token, other.form_key, ACCESS.form_key.upper(), "é", "\ud800", "\0"):
        assert not ACCESS.is_form_key(wrong)
    assert ACCESS.token not in ACCESS.form_key


# ------------------------------------------------------------------ token and cookie


def test_a_valid_token_is_exchanged_for_a_cookie(ask: Ask) -> None:
    """The redirect removes it from the URL."""
    answer = ask(url=f"/?token={ACCESS.token}", cookie="")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert answer.headers["set-cookie"] == f"{COOKIE}; HttpOnly; SameSite=Strict; Path=/"
    assert ACCESS.token not in answer.text
    assert ask(url="/?token=the%2Dright-token", cookie="").status_code == 303


def test_the_redirect_keeps_the_rest_of_the_url(ask: Ask, app: Application) -> None:
    """Path and query are not decoded."""
    url = f"/candidates/a%2Fb?sort=na%0Ame&to%6ben={ACCESS.token}&x"
    assert ask(url=url, cookie="").headers["location"] == "/candidates/a%2Fb?sort=na%0Ame&x"
    assert app.seen == []


def test_the_redirect_stays_on_this_host(ask: Ask) -> None:
    """A path that starts with two slashes would name another host."""
    for path in ("//evil.example/", "///evil.example", "/\\evil.example", "/%5cevil.example"):
        location = ask(url=f"{BASE}{path}?token={ACCESS.token}").headers["location"]
        assert re.match(r"/[^/\\]", location), location


@pytest.mark.parametrize(
    "token",
    ["", "wrong", "the-right-toke", "the-right-token%00", "the-right-token ", "%C3%A9", "%FF",
     "the-right-token&token=the-right-token", "x&token=the-right-token"],
)  # fmt: skip
def test_an_invalid_token_is_refused_despite_a_valid_cookie(
    ask: Ask, app: Application, token: str
) -> None:
    """It may come from an old bookmark."""
    answer = ask(url=f"/?token={token}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "archprep review" in answer.text
    assert app.seen == []


def test_a_ticket_works_once(ask: Ask) -> None:
    """Other users can read it on the command line of the browser."""
    first, second = (ask(url="/?token=a-ticket", cookie="") for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 403)
    assert first.headers["set-cookie"].startswith(f"{COOKIE};")


def test_an_empty_ticket_is_invalid(app: Application) -> None:
    """No ticket means that none is accepted."""
    assert not AccessMiddleware(app, ACCESS)._is_valid("")


@pytest.mark.parametrize(
    "cookie",
    [
        "", "=", ";;;", "the-right-token", f"{ACCESS.cookie}=", f"{ACCESS.cookie}=wrong",
        f"{ACCESS.cookie}={ACCESS.token}x", f'{ACCESS.cookie}="{ACCESS.token}"',
        f"archprep-review-8766={ACCESS.token}", f"x{COOKIE}",
        f"{ACCESS.cookie}-name={ACCESS.token}", f"{ACCESS.cookie}={ACCESS.form_key}",
    ],
)  # fmt: skip
def test_a_request_without_a_valid_cookie_is_refused(
    ask: Ask, app: Application, cookie: str
) -> None:
    """A cookie of another port has another name, because cookies ignore ports."""
    answer = ask(cookie=cookie)
    assert answer.status_code == 403
    assert answer.text == "Open the address that `archprep review` has printed.\n"
    assert app.seen == []


def test_a_valid_cookie_is_found_among_others(ask: Ask) -> None:
    """A page on another port may have set one with the same name that comes first."""
    assert is_inside(ask(cookie=f'a="x=1"; {ACCESS.cookie}=wrong;{COOKIE} ; b=2'))
    assert is_inside(ask(cookie=f"a=1; {COOKIE}"))


# ------------------------------------------------------------------ host and URL


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LocalHost:8765"])
def test_two_host_names_are_accepted(ask: Ask, host: str) -> None:
    """127.0.0.1 and localhost."""
    assert is_inside(ask(headers={"host": host}))


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "localhost", "127.0.0.1:80", "127.0.0.1:87650", "127.0.0.1:8765.evil.example",
     "evil.example:8765", "evil.example", "localhost:8765@evil.example", "[::1]:8765", "0:8765",
     "127.0.0.1:8765, 127.0.0.1:8765", "localhost.:8765", "127.0.0.1.nip.io:8765", "127.1:8765"],
)  # fmt: skip
def test_other_host_names_are_refused(ask: Ask, app: Application, host: str) -> None:
    """A foreign name may resolve to 127.0.0.1. The token is not accepted there, either."""
    for url in ("/", f"/?token={ACCESS.token}"):
        answer = ask(url=url, headers={"host": host})
        assert answer.status_code == 421
        assert "set-cookie" not in answer.headers
    assert app.seen == []


def test_a_repeated_host_header_is_refused(ask: Ask) -> None:
    """It is ambiguous."""
    both = [("host", "127.0.0.1:8765"), ("host", "127.0.0.1:8765")]
    assert ask(headers=both).status_code == 421


def test_port_80_may_be_omitted(app: Application) -> None:
    """Browsers omit the default port."""
    assert "localhost" in Access("t", 80).hosts
    assert "localhost" not in Access("t", 8080).hosts


def test_long_urls_are_refused(ask: Ask, app: Application) -> None:
    """The limit applies to path and query together."""
    assert is_inside(ask(url="/" + "x" * (MAX_URL - 1)))
    for url in ("/" + "x" * MAX_URL, "/?" + "x" * MAX_URL, f"/?{'x&' * 2100}token=x"):
        assert ask(url=url).status_code == 414
    assert len(app.seen) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(ask: Ask, app: Application, method: str) -> None:
    """The response names the allowed ones."""
    answer = ask(method, headers=OURS)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert app.seen == []


def test_head_requests_reach_the_application(ask: Ask, app: Application) -> None:
    """They are checked like GET requests."""
    assert ask("HEAD").status_code == 200
    assert app.seen == [("HEAD", "/", 0)]


@pytest.mark.parametrize("path", ["/a%00b", "/%0d%0aSet-Cookie:x", "/%1b", "/%7f"])
def test_control_characters_in_a_path_are_refused(ask: Ask, app: Application, path: str) -> None:
    """They could end a header."""
    assert ask(url=path).status_code == 400
    assert app.seen == []


# ------------------------------------------------------------------ origin


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": BASE}, 200),
        ({"origin": BASE, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost:8765", "host": "localhost:8765"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost:8765"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": f"{BASE}.evil.example"}, 403),
        ({"origin": "https://127.0.0.1:8765"}, 403),
        ({"origin": f"{BASE}/"}, 403),
    ],
)
def test_forms_of_other_pages_are_refused(
    ask: Ask, app: Application, headers: dict[str, str], status: int
) -> None:
    """The cookie proves nothing: browsers send it for pages on other ports, too."""
    assert ask("POST", "/marks", headers, content=b"a=b").status_code == status
    assert app.seen == ([("POST", "/marks", 3)] if status == 200 else [])


def test_a_repeated_origin_is_refused(ask: Ask) -> None:
    """It is ambiguous."""
    both = [("origin", BASE), ("origin", "http://evil.example")]
    assert ask("POST", "/", both).status_code == 403
    assert ask("POST", "/", [("origin", BASE), ("origin", BASE)]).status_code == 403


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_pages_may_link_but_not_embed(ask: Ask, method: str, site: str) -> None:
    """Images and scripts would reveal content."""
    elsewhere = {"sec-fetch-site": site}
    assert ask(method, headers=elsewhere | {"sec-fetch-mode": "navigate"}).status_code == 200
    for mode in ("no-cors", "cors"):
        assert ask(method, headers=elsewhere | {"sec-fetch-mode": mode}).status_code == 403
    assert ask(method, headers={"origin": "http://127.0.0.1:3000"}).status_code == 403


# ------------------------------------------------------------------ bodies


def test_a_body_reaches_the_application_as_one_message(ask: Ask, app: Application) -> None:
    """Chunks are joined."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * (MAX_BODY // 4)

    assert is_inside(ask("POST", "/", OURS, content=b"x" * MAX_BODY))
    assert is_inside(ask("POST", "/", OURS, content=pieces()))
    assert app.seen == [("POST", "/", MAX_BODY)] * 2


def test_a_large_body_does_not_reach_the_application(ask: Ask, app: Application) -> None:
    """This holds with and without a declared length."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    for content in (b"x" * (MAX_BODY + 1), pieces()):
        assert ask("POST", "/", OURS, content=content).status_code == 413
    assert app.seen == []


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 5000, "-1", "1e3", "", "²"])
def test_an_invalid_length_is_refused(app: Application, length: str) -> None:
    """The body is not read."""
    sent: list[Any] = []

    async def receive() -> Any:
        pytest.fail("it was waited for")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:8765", "cookie": COOKIE, "content-length": length} | OURS
    asyncio.run(AccessMiddleware(app, ACCESS)(request("POST", headers), receive, send))
    assert sent[0]["status"] == 413
    assert app.seen == []


def request(method: str, headers: dict[str, str]) -> dict[str, Any]:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "type": "http", "method": method, "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": encoded,
    }  # fmt: skip


def test_a_client_that_disconnects_gets_no_response(app: Application) -> None:
    """The application is not called."""
    messages = iter([
        {"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"},
    ])  # fmt: skip

    async def receive() -> Any:
        return next(messages)

    async def send(_: Any) -> None:
        pytest.fail("nobody is there")

    headers = {"host": "127.0.0.1:8765", "cookie": COOKIE} | OURS
    asyncio.run(AccessMiddleware(app, ACCESS)(request("POST", headers), receive, send))
    assert app.seen == []


def test_the_application_sees_a_later_disconnect() -> None:
    """It can stop working on the response."""
    heard: list[str] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    messages = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    headers = {"host": "127.0.0.1:8765", "cookie": COOKIE}
    asyncio.run(AccessMiddleware(app, ACCESS)(request("GET", headers), receive, app))  # type: ignore[arg-type]
    assert heard == ["http.request", "http.disconnect"]


# ------------------------------------------------------------------ responses


def test_every_response_has_the_security_headers(ask: Ask, app: Application) -> None:
    """So do rejections and redirects."""
    answers = [
        ask(),
        ask(cookie=""),
        ask(url="/?token=wrong"),
        ask(url=f"/?token={ACCESS.token}"),
        ask(headers={"host": "evil.example"}),
        ask("PUT"),
        ask("POST", headers=OURS, content=b"x" * (MAX_BODY + 1)),
        ask("POST"),
    ]
    assert [a.status_code for a in answers] == [200, 403, 403, 303, 421, 405, 413, 403]
    for answer in answers:
        assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
        assert "server" not in answer.headers
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.text.endswith(".\n")


def test_no_response_has_cors_headers(ask: Ask) -> None:
    """Other origins cannot read it."""
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for answer in (ask("OPTIONS", headers=preflight), ask("POST", headers=preflight), ask()):
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_content_security_policy_is_strict() -> None:
    """Pages load nothing from elsewhere and run no inline code."""
    policy = dict(d.split(" ", 1) for d in SECURITY_HEADERS["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert policy["form-action"] == "'self'"


def test_the_referrer_policy_keeps_the_origin_of_forms() -> None:
    """With "no-referrer" browsers send `Origin: null`, and every mark would be refused."""
    assert SECURITY_HEADERS["referrer-policy"] == "same-origin"


def test_headers_of_the_application_take_precedence(ask: Ask, app: Application) -> None:
    """The Server header is removed."""
    app.headers = [(b"Cache-Control", b"max-age=60"), (b"server", b"x"), (b"Set-Cookie", b"a=b")]
    answer = ask()
    assert answer.headers.get_list("cache-control") == ["max-age=60"]
    assert answer.headers["set-cookie"] == "a=b"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers


def test_an_internal_error_is_a_plain_sentence(ask: Ask, app: Application) -> None:
    """The exception is raised to the server."""
    app.error = RuntimeError("secret")
    answer = ask()
    assert answer.status_code == 500
    assert answer.text.startswith("archprep itself failed.")
    assert SECURITY_HEADERS.items() <= dict(answer.headers).items()


def test_an_error_during_a_response_sends_no_second_one(app: Application) -> None:
    """The response has already started."""
    app.error, app.fails_late = RuntimeError("secret"), True
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:8765", "cookie": COOKIE}
    with pytest.raises(RuntimeError):
        asyncio.run(AccessMiddleware(app, ACCESS)(request("GET", headers), receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"]


def test_websockets_are_closed(app: Application) -> None:
    """Other scopes, such as lifespan, are passed on."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def noted(scope: Any, *_: Any) -> None:
        sent.append(scope)

    async def receive() -> Any:
        return {}

    guard = AccessMiddleware(noted, ACCESS)
    asyncio.run(guard({"type": "websocket"}, receive, send))
    asyncio.run(guard({"type": "lifespan"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}, {"type": "lifespan"}]
