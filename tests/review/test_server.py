"""`archprep review` as a user runs it, and the access middleware on a real socket."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from interview.results.result_samples import BATCH, GRADED, RECEIVED
from review.test_access_middleware import Application, is_inside
from typer.testing import CliRunner

pytest.importorskip("fastapi")

import httpx

from archprep.cli import review as cli_review
from archprep.core.errors import UsageError
from archprep.interview.results import results_lock
from archprep.review import review_lock, server
from archprep.review.access import Access
from archprep.review.access_middleware import MAX_URL, AccessMiddleware
from archprep.review.http_messages import MAX_BODY, App

PATIENCE = 30.0  # seconds, for what takes milliseconds on an idle machine
URL = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{43})")


def write_results(root: Path) -> Path:
    """A folder with one graded candidate."""
    with results_lock.open_for_grading(root, resume=False) as folder:
        folder.begin(BATCH)
        folder.receive(RECEIVED)
        folder.save(RECEIVED.slug, RECEIVED.digest, GRADED)
    return root


def until(holds: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# ------------------------------------------------------------------ the command


class Review:
    """`archprep review` in its own process."""

    def __init__(self, log: Path, *args: object, env: dict[str, str] | None = None) -> None:
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "archprep", "review", *map(str, args)],
                stdout=out,
                stderr=err,
                env=os.environ | (env or {}),
            )

    @property
    def out(self) -> str:
        """The standard output."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """The error output."""
        return self._err.read_text()

    def begins(self) -> str:
        """The URL, once it is printed."""
        assert until(lambda: URL.search(self.out) or self.process.poll() is not None)
        found = URL.search(self.out)
        assert found, self.err
        return found[0]

    @property
    def access(self) -> Access:
        """Its port and token."""
        found = URL.search(self.begins())
        assert found
        return Access(found[2], int(found[1]))

    def ends(self, number: int = signal.SIGINT) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


Start = Callable[..., Review]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start reviews that are stopped after the tests."""
    running: list[Review] = []

    def begin(*args: object, **more: Any) -> Review:
        running.append(Review(tmp_path_factory.mktemp("log") / "log", *args, **more))
        return running[-1]

    yield begin
    for review in running:
        review.process.kill()
        review.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_results(tmp_path / "results")


def test_it_prints_the_url_and_stops_on_ctrl_c(start: Start, folder: Path) -> None:
    """It stops even if browsers keep connections open or are sending a request."""
    review = start(folder)
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(review.begins())
        assert answer.status_code == 200
        assert RECEIVED.name in answer.text
        open_ = [socket.create_connection(("127.0.0.1", review.access.port)) for _ in range(2)]
        open_[1].sendall(b"GET / HTT")
        assert review.ends() == 0
        for each in open_:
            each.close()
    said = f"{folder}: 1 candidate\n{review.access.url}\nPress Ctrl-C to stop.\n"
    assert review.out == f"{said}Stopped. All marks are saved.\n"
    assert review.err == ""


def test_an_unfinished_request_does_not_prevent_stopping(start: Start, folder: Path) -> None:
    """The server waits a second at most."""
    review = start(folder)
    half = Served(review.access)
    with half.connect() as client:
        client.sendall(half.head("/marks", "POST", half.origin, "Content-Length: 9") + b"x")
        assert statuses(half.ask(half.head())) == [200]
        assert review.ends() == 0
    assert review.err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_other_signals_stop_it(start: Start, folder: Path, number: int, code: int) -> None:
    """The exit code is 143 for SIGTERM and 130 for SIGHUP."""
    review = start(folder)
    review.begins()
    assert review.ends(number) == code
    assert "Traceback" not in review.err


def test_a_requested_port_in_use_is_an_error(start: Start, folder: Path) -> None:
    """The message says what to do."""
    with server._listen(0) as taken:
        port = taken.getsockname()[1]
        review = start(folder, "--port", port)
        assert review.process.wait(PATIENCE) == 2
    assert review.err.startswith(f"Error: Port {port} is already in use.\nChoose another port")
    assert review.out == ""


def test_a_requested_free_port_is_used(start: Start, folder: Path) -> None:
    """The printed URL contains it."""
    with server._listen(0) as free:
        port = free.getsockname()[1]
    assert start(folder, "--port", port).access.port == port


def test_a_second_review_of_a_folder_prints_a_notice(start: Start, folder: Path) -> None:
    """Both work."""
    first = start(folder)
    first.begins()
    second = start(folder)
    for review in (first, second):
        with httpx.Client(follow_redirects=True) as client:
            assert client.get(review.begins()).status_code == 200
    assert until(lambda: "Another review has this folder open." in second.err)
    assert first.err == ""


def test_a_folder_being_graded_can_be_reviewed(start: Start, folder: Path) -> None:
    """A notice says that more results will appear."""
    with results_lock.open_existing(folder):
        review = start(folder)
        review.begins()
        assert until(lambda: "`archprep grade` is still running" in review.err)
        with httpx.Client(follow_redirects=True) as client:
            assert client.get(review.begins()).status_code == 200
    with results_lock.open_existing(folder):
        pass  # nor does a review keep anybody from grading


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_results_is_an_error(start: Start, tmp_path: Path, made: bool) -> None:
    """It may be missing or empty."""
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    review = start(folder)
    assert review.process.wait(PATIENCE) == 2
    says = f"{folder} has no results." if made else f"{folder} does not exist."
    assert review.err.startswith(f"Error: {says}")
    assert review.out == ""
    assert list(tmp_path.rglob("*")) == ([folder] if made else [])


def test_the_folder_name_is_sanitized(start: Start, tmp_path: Path) -> None:
    """It is printed to the terminal."""
    review = start(write_results(tmp_path / "a\x1b[2Jb"))
    review.begins()
    assert "\x1b" not in review.out
    assert "/ab: 1 candidate" in review.out


def test_open_passes_a_one_time_url_to_the_browser(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    """Other users can read the command line of a browser."""
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}.new && mv {told}.new {told}\n')
    browser.chmod(0o700)
    review = start(folder, "--open", env={"BROWSER": f"{browser} %s"})
    assert until(told.exists)
    assert review.access.token not in told.read_text()
    first, second = (httpx.get(told.read_text()) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 403)
    assert httpx.get(review.access.url).status_code == 303


def test_it_works_without_a_browser(start: Start, folder: Path) -> None:
    """A message says so."""
    review = start(folder, "--open", env={"BROWSER": "/nonexistent %s", "PATH": ""})
    assert until(lambda: "No browser was found" in review.err)
    assert httpx.get(review.begins()).status_code == 303


@pytest.mark.parametrize("module", ["uvicorn", "sqlalchemy"])
def test_missing_packages_are_named(folder: Path, module: str) -> None:
    """The message has the command that installs them."""
    code = f"import sys; sys.modules[{module!r}] = None; from archprep.cli.app import main; main()"
    command = [sys.executable, "-c", code, "review", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert f"not installed ({module})." in ended.stderr
    assert "pip install 'archprep[review]'" in ended.stderr


def test_other_commands_do_not_import_the_review() -> None:
    """Its packages are slow to import."""
    heavy = ["fastapi", "sqlalchemy", "uvicorn", "webbrowser", "archprep.review"]
    code = f"import sys, archprep.cli.app; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "[]\n"


# ------------------------------------------------------------------ options


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that the command passes to `serve`."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(server, "serve", lambda root, **more: found.update(more, root=root))
    monkeypatch.setattr(cli_review.getpass, "getuser", lambda: "ada")
    return found


def typed(*args: str) -> int:
    app = typer.Typer()
    cli_review.register(app)
    result = CliRunner().invoke(app, args)
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code


def test_the_login_name_is_the_default_reviewer(told: dict[str, Any]) -> None:
    """The port is chosen by the server."""
    assert typed("results") == 0
    assert told == {"root": Path("results"), "port": None, "reviewer": "ada", "open_browser": False}


def test_options_are_passed_on(told: dict[str, Any]) -> None:
    """The name is sanitized."""
    assert typed("x", "--port", "80", "--as", " Grace\n\x1b[1m Hopper ", "--open") == 0
    assert told["reviewer"] == "Grace Hopper"
    assert (told["port"], told["open_browser"]) == (80, True)


@pytest.mark.parametrize("port", ["-1", "0", "65536", "x", "9" * 30])
def test_invalid_ports_are_refused(told: dict[str, Any], port: str) -> None:
    """The exit code is that of a usage error."""
    assert typed("results", "--port", port) == 2
    assert told == {}


@pytest.mark.parametrize("name", ["", " ", "\u202e", "x" * 81])
def test_invalid_names_are_refused(told: dict[str, Any], name: str) -> None:
    """A name must be visible and not too long."""
    with pytest.raises(UsageError, match="1 to 80 characters"):
        typed("results", "--as", name)
    assert told == {}


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no login")])
def test_a_user_without_a_login_is_called_reviewer(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Containers may have no entry for the user."""

    def fail() -> str:
        raise error

    monkeypatch.setattr(cli_review.getpass, "getuser", fail)
    assert typed("results") == 0
    assert told["reviewer"] == "reviewer"


# ------------------------------------------------------------------ the folder and the port


def test_only_the_first_review_is_alone(tmp_path: Path) -> None:
    """Later ones share the lock."""
    held = review_lock.shared_lock
    with held(tmp_path) as first, held(tmp_path) as second, held(tmp_path) as third:
        assert (first, second, third) == (True, False, False)
    with review_lock.shared_lock(tmp_path) as again:
        assert again


def test_the_second_review_keeps_its_lock(tmp_path: Path) -> None:
    """A third one is not alone after the first has stopped."""
    first, second = review_lock.shared_lock(tmp_path), review_lock.shared_lock(tmp_path)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with review_lock.shared_lock(tmp_path) as third:
        assert not third
    second.__exit__(None, None, None)


def test_a_lock_that_cannot_be_created_is_ignored(tmp_path: Path) -> None:
    """A symbolic link is not followed."""
    (tmp_path / review_lock.LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with review_lock.shared_lock(tmp_path) as first, review_lock.shared_lock(tmp_path) as second:
        assert first
        assert second
    assert not (tmp_path / "elsewhere").exists()


def test_a_notice_says_why_marks_cannot_be_saved(folder: Path) -> None:
    """The reason is sanitized."""
    reader, marks = (
        server.ResultsReader(folder),
        SimpleNamespace(read_only_reason="The disk is\x1b[2J full."),
    )
    said = server._notices(reader, marks, is_alone=True)  # type: ignore[arg-type]
    assert said == ["Marks cannot be saved: The disk is full."]


def test_any_free_port_is_used_if_the_default_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only without --port."""
    with server._listen(0) as usual:
        port = usual.getsockname()[1]
        monkeypatch.setattr(server, "DEFAULT_PORT", port)
        with server._listen(None) as other:
            assert other.getsockname()[1] != port


def test_the_server_listens_on_loopback() -> None:
    """The protocol is explicit, otherwise asyncio does not set TCP_NODELAY."""
    with server._listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.proto == socket.IPPROTO_TCP


# ------------------------------------------------------------------ attacks on the whole


@pytest.fixture(scope="module")
def attacked(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Review:
    review = start(write_results(tmp_path_factory.mktemp("attacked") / "results"))
    review.begins()
    return review


@pytest.mark.parametrize(
    "path",
    ["/static/../cli.py", "/static/..%2f..%2fcli.py", "/static/%2e%2e/cli.py",
     "/static//etc/passwd", "/static/..%5c..%5ccli.py", "/candidates/..%2f..%2fbatch.json",
     "/candidates/..", "/candidates/.",
     "/candidates/ada%00", "/candidates/ada%2f..%2fada", "/candidates/" + "a" * 4000,
     "/candidates/ada/..%2fq1/source", "/candidates/ada/" + "9" * 4000 + "/source",
     "/candidates/%ff%fe", "/candidates/%ed%a0%80", "/candidates/ada/history/../../..", "/..", "//",
     "/docs", "/openapi.json", "/export/..%2f..%2freview.sqlite3", "/charts/..%2f..%2fx.svg",
     "/review.sqlite3", "/review.lock", "/batch.json"],
)  # fmt: skip
def test_paths_cannot_leave_the_pages(attacked: Review, path: str) -> None:
    """They get status 400 or 404."""
    served = Served(attacked.access)
    answer = served.ask(served.head(path))
    assert statuses(answer) in ([400], [404]), answer
    assert b"Traceback" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "query", ["page=" + "9" * 4000, "page=-1", "sort=%00", "kind[]=x&&=&%", "%ff"]
)
def test_invalid_parameters_do_not_break_pages(attacked: Review, query: str) -> None:
    """They get an ordinary response."""
    served = Served(attacked.access)
    assert statuses(served.ask(served.head(f"/?{query}"))) == [200]


def test_the_token_is_printed_once_and_requests_are_not_logged(attacked: Review) -> None:
    """Even if a request contains the token."""
    served, token = Served(attacked.access), attacked.access.token
    odd = [f"/candidates/{token}", f"/?x={token}", f"/?token={token}&x", f"/?token={token}x"]
    for target in odd:
        served.ask(served.head(target))
        served.ask(served.head(target, "POST", served.origin, "Content-Length: 0"))
    served.ask(f"NO HTTP {token}\r\n\r\n".encode())
    assert attacked.out.count(token) == 1
    assert attacked.err == ""


def test_protocol_errors_are_not_printed(attacked: Review) -> None:
    """For example a body that becomes invalid after it was rejected."""
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Served(attacked.access).connect() as client:
        client.sendall(head % attacked.access.port)
        assert statuses(client.recv(65536)) == [403]
        client.sendall(b"no chunk\r\n\r\n")
        assert b"HTTP/" not in b"".join(iter(lambda: client.recv(65536), b""))
    assert attacked.err == ""


# ------------------------------------------------------------------ on a real socket


@dataclass
class Served:
    """The middleware with an application, as `serve` runs them."""

    access: Access

    @property
    def origin(self) -> str:
        """The Origin header of forms on the review's pages."""
        return f"Origin: http://127.0.0.1:{self.access.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.access.port), timeout=PATIENCE)

    def ask(self, raw: bytes) -> bytes:
        """Everything the server sends until it closes the connection."""
        with self.connect() as client:
            client.sendall(raw)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def head(self, target: str = "/", method: str = "GET", *lines: str, host: bool = True) -> bytes:
        """The head of an authorized request that closes the connection."""
        names = [f"Host: 127.0.0.1:{self.access.port}"] if host else []
        cookie = f"Cookie: {self.access.cookie}={self.access.token}"
        all_ = [f"{method} {target} HTTP/1.1", *names, cookie, "Connection: close", *lines]
        return "\r\n".join([*all_, "", ""]).encode("latin-1")


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.fixture(scope="module")
def inside() -> Application:
    return Application()


@pytest.fixture(scope="module")
def served(inside: Application) -> Iterator[Served]:
    listener = server._listen(0)
    access = Access("the-right-token", listener.getsockname()[1])
    with running(AccessMiddleware(inside, access), listener):
        yield Served(access)


class running:  # noqa: N801 - reads as what it is used as
    """A server in its own thread, stopped at the end of the block."""

    def __init__(self, app: App, listener: socket.socket) -> None:
        ready = threading.Event()
        self._server = server._Server(app, ready.set)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()
        assert ready.wait(PATIENCE)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def seen(inside: Application) -> list[tuple[str, str, int]]:
    """What reaches the application in this test."""
    inside.seen.clear()
    return inside.seen


def test_a_browser_is_admitted(served: Served, seen: list[Any]) -> None:
    """The token is exchanged for a cookie."""
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(served.access.url)
        assert is_inside(answer)
        assert str(answer.url) == f"http://127.0.0.1:{served.access.port}/"
        assert is_inside(client.get(answer.url))
        assert "server" not in answer.headers
    assert len(seen) == 2


def test_a_target_that_is_not_a_path_is_refused(served: Served, seen: list[Any]) -> None:
    """The host of an absolute one would take precedence over the header."""
    for target in ("http://evil.example/", "evil.example:80", "*", "x", "?token=x"):
        assert statuses(served.ask(served.head(target))) in ([400], [403])
    assert seen == []


def test_a_request_must_have_one_host(served: Served, seen: list[Any]) -> None:
    """Missing or repeated headers are refused."""
    none = served.head(host=False)
    two = served.head("/", "GET", "Host: evil.example")
    same = served.head("/", "GET", f"host: 127.0.0.1:{served.access.port}")
    for raw in (none, two, same):
        assert statuses(served.ask(raw)) == [400]
    assert statuses(served.ask(none.replace(b"HTTP/1.1", b"HTTP/1.0"))) == [421]
    assert seen == []


def test_http_1_0_is_supported(served: Served) -> None:
    """Old clients may use it."""
    assert statuses(served.ask(served.head().replace(b"HTTP/1.1", b"HTTP/1.0"))) == [200]


@pytest.mark.parametrize(
    "raw",
    [b"\r\n" * 3000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000, b"GET /" + b"x" * 100_000,
     b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
     b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"],
)  # fmt: skip
def test_invalid_http_is_refused(served: Served, seen: list[Any], raw: bytes) -> None:
    """So are requests that never end."""
    try:
        answer = served.ask(raw)
    except ConnectionError:  # the server closes the connection while we are sending
        answer = b""
    assert {*statuses(answer)} <= {400, 421}
    assert seen == []
    assert statuses(served.ask(served.head())) == [200]


def test_a_long_target_gets_status_414(served: Served) -> None:
    """The server answers instead of closing the connection."""
    assert statuses(served.ask(served.head("/" + "x" * MAX_URL))) == [414]


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "BREW", "get"])
def test_unknown_methods_are_refused_on_a_socket(
    served: Served, seen: list[Any], method: str
) -> None:
    """The application is not called."""
    assert statuses(served.ask(served.head("/", method))) == [405]
    assert seen == []


def test_a_head_response_has_no_body(served: Served) -> None:
    """This holds for rejections, too."""
    allowed = served.ask(served.head("/", "HEAD"))
    refused = served.ask(served.head("/", "HEAD").replace(b"the-right", b"a-wrong"))
    assert (statuses(allowed), statuses(refused)) == ([200], [403])
    assert allowed.endswith(b"\r\n\r\n")
    assert refused.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("form", ["chunked", "declared", "both", "endless head"])
def test_an_endless_body_is_rejected(served: Served, seen: list[Any], form: str) -> None:
    """The connection is closed."""
    lines = {
        "chunked": ["Transfer-Encoding: chunked"],
        "declared": [f"Content-Length: {MAX_BODY + 1}"],
        "both": [f"Content-Length: {MAX_BODY + 1}", "Transfer-Encoding: chunked"],
        "endless head": ["Content-Length: " + "9" * 5000],
    }
    with served.connect() as client:
        client.sendall(served.head("/marks", "POST", served.origin, *lines[form]))
        answer = b""
        for _ in range(600):  # after the rejection the server closes
            if form == "declared":
                break
            try:
                client.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            except ConnectionError:
                break
        try:
            answer = client.recv(65536)
        except ConnectionError:
            answer = b""
    assert statuses(answer) in ([413], [400], [])
    assert seen == []
    if form in {"declared", "chunked"}:
        assert statuses(answer) in ([413], [])


def test_a_chunked_form_is_accepted(served: Served, seen: list[Any]) -> None:
    """Chunks are joined."""
    head = served.head("/marks", "POST", served.origin, "Transfer-Encoding: chunked")
    assert statuses(served.ask(head + b"3\r\na=b\r\n2\r\n&c\r\n0\r\n\r\n")) == [200]
    assert seen == [("POST", "/marks", 5)]


def test_an_unauthorized_request_is_answered_before_its_body(served: Served) -> None:
    """The body is not read."""
    head = served.head("/marks", "POST", "Content-Length: 1000")
    assert statuses(served.ask(head)) == [403]


def test_pipelined_requests_are_checked_separately(served: Served, seen: list[Any]) -> None:
    """An accepted request does not authorize the next one."""
    good, last = served.head("/1"), served.head("/4")
    good = good.replace(b"Connection: close\r\n", b"")
    bad = good.replace(b"the-right", b"a-wrong")
    foreign = good.replace(b"Host: 127.0.0.1", b"Host: evil.example")
    assert statuses(served.ask(good + bad + foreign + last)) == [200, 403, 421, 200]
    assert [path for _, path, _ in seen] == ["/1", "/4"]


def test_requests_cannot_be_smuggled_in_a_body(served: Served, seen: list[Any]) -> None:
    """Conflicting lengths are refused."""
    hidden = served.head("/hidden")
    lines = ["Content-Length: 4", f"Content-Length: {len(hidden)}"]
    assert statuses(served.ask(served.head("/", "POST", *lines) + hidden)) == [400]
    assert seen == []


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%5cx"])
def test_a_path_reaches_the_application_decoded(
    served: Served, seen: list[tuple[str, str, int]], path: str
) -> None:
    """Routes that open files must reject paths that leave a folder."""
    assert statuses(served.ask(served.head(path))) == [200]
    assert ".." in seen[0][1]


def test_a_nul_character_is_refused(served: Served, seen: list[Any]) -> None:
    """It arrives encoded in the path."""
    assert statuses(served.ask(served.head("/candidates/%00"))) == [400]
    assert seen == []


def test_a_websocket_upgrade_is_ignored(served: Served) -> None:
    """The request gets an ordinary response."""
    head = served.head("/", "GET", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
    answer = served.ask(head.replace(b"Connection: close", b"Connection: upgrade, close"))
    assert statuses(answer) == [200]


def test_slow_clients_do_not_block_others(served: Served) -> None:
    """Half a head, half a body, or a response that is not read."""
    half = served.head("/", "POST", served.origin, "Content-Length: 100") + b"x"
    slow = [served.connect() for _ in range(40)]
    try:
        for number, client in enumerate(slow):
            client.sendall((b"GET / HT", half, b"", served.head())[number % 4])
        assert statuses(served.ask(served.head())) == [200]
    finally:
        for client in slow:
            client.close()
