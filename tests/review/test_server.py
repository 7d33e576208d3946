"""`archprep review` as a user runs it, and the guard on a real socket."""

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
    """A folder with one candidate, who has been graded."""
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
    """`archprep review` in a process of its own."""

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
        """What it has printed as its result."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has said beside that."""
        return self._err.read_text()

    def begins(self) -> str:
        """The address, as soon as it is printed."""
        assert until(lambda: URL.search(self.out) or self.process.poll() is not None)
        found = URL.search(self.out)
        assert found, self.err
        return found[0]

    @property
    def access(self) -> Access:
        """Where it is, and its token."""
        found = URL.search(self.begins())
        assert found
        return Access(found[2], int(found[1]))

    def ends(self, number: int = signal.SIGINT) -> int:
        """The exit code after that signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


Start = Callable[..., Review]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a review; none outlives the tests."""
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


def test_it_prints_the_address_and_ends_with_ctrl_c(start: Start, folder: Path) -> None:
    """Also while browsers keep connections open, or are in the middle of a request."""
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


def test_a_form_that_never_ends_does_not_hold_up_the_end(start: Start, folder: Path) -> None:
    review = start(folder)
    half = Served(review.access)
    with half.connect() as client:
        client.sendall(half.head("/marks", "POST", half.origin, "Content-Length: 9") + b"x")
        assert statuses(half.ask(half.head())) == [200]
        assert review.ends() == 0
    assert review.err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_other_signals_end_it_as_well(start: Start, folder: Path, number: int, code: int) -> None:
    review = start(folder)
    review.begins()
    assert review.ends(number) == code
    assert "Traceback" not in review.err


def test_a_port_that_was_asked_for_and_is_in_use(start: Start, folder: Path) -> None:
    with server._listen(0) as taken:
        port = taken.getsockname()[1]
        review = start(folder, "--port", port)
        assert review.process.wait(PATIENCE) == 2
    assert review.err.startswith(f"Error: Port {port} is already in use.\nChoose another port")
    assert review.out == ""


def test_a_port_that_is_free_is_the_one_asked_for(start: Start, folder: Path) -> None:
    with server._listen(0) as free:
        port = free.getsockname()[1]
    assert start(folder, "--port", port).access.port == port


def test_a_second_review_of_a_folder_is_told_of_the_first(start: Start, folder: Path) -> None:
    first = start(folder)
    first.begins()
    second = start(folder)
    for review in (first, second):
        with httpx.Client(follow_redirects=True) as client:
            assert client.get(review.begins()).status_code == 200
    assert until(lambda: "Another review has this folder open." in second.err)
    assert first.err == ""


def test_a_folder_that_is_being_graded_is_shown(start: Start, folder: Path) -> None:
    with results_lock.open_existing(folder):
        review = start(folder)
        review.begins()
        assert until(lambda: "`archprep grade` is still running" in review.err)
        with httpx.Client(follow_redirects=True) as client:
            assert client.get(review.begins()).status_code == 200
    with results_lock.open_existing(folder):
        pass  # nor does a review keep anybody from grading


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_results(start: Start, tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    review = start(folder)
    assert review.process.wait(PATIENCE) == 2
    says = f"{folder} has no results." if made else f"{folder} does not exist."
    assert review.err.startswith(f"Error: {says}")
    assert review.out == ""
    assert list(tmp_path.rglob("*")) == ([folder] if made else [])


def test_a_name_of_a_folder_moves_no_cursor(start: Start, tmp_path: Path) -> None:
    review = start(write_results(tmp_path / "a\x1b[2Jb"))
    review.begins()
    assert "\x1b" not in review.out
    assert "/ab: 1 candidate" in review.out


def test_open_hands_the_browser_an_address_that_works_once(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    """Other users of the machine can read the command line of a browser."""
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}.new && mv {told}.new {told}\n')
    browser.chmod(0o700)
    review = start(folder, "--open", env={"BROWSER": f"{browser} %s"})
    assert until(told.exists)
    assert review.access.token not in told.read_text()
    first, second = (httpx.get(told.read_text()) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 403)
    assert httpx.get(review.access.url).status_code == 303


def test_without_a_browser_it_goes_on(start: Start, folder: Path) -> None:
    review = start(folder, "--open", env={"BROWSER": "/nonexistent %s", "PATH": ""})
    assert until(lambda: "No browser was found" in review.err)
    assert httpx.get(review.begins()).status_code == 303


@pytest.mark.parametrize("module", ["uvicorn", "sqlalchemy"])
def test_missing_packages_are_named_with_the_command(folder: Path, module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from archprep.cli.app import main; main()"
    command = [sys.executable, "-c", code, "review", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert f"not installed ({module})." in ended.stderr
    assert "pip install 'archprep[review]'" in ended.stderr


def test_cheap_commands_do_not_pay_for_it() -> None:
    heavy = ["fastapi", "sqlalchemy", "uvicorn", "webbrowser", "archprep.review"]
    code = f"import sys, archprep.cli.app; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "[]\n"


# ------------------------------------------------------------------ what the command is told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command passes on."""
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


def test_without_options_the_login_is_the_reviewer(told: dict[str, Any]) -> None:
    assert typed("results") == 0
    assert told == {"root": Path("results"), "port": None, "reviewer": "ada", "open_browser": False}


def test_options_are_passed_on(told: dict[str, Any]) -> None:
    assert typed("x", "--port", "80", "--as", " Grace\n\x1b[1m Hopper ", "--open") == 0
    assert told["reviewer"] == "Grace Hopper"
    assert (told["port"], told["open_browser"]) == (80, True)


@pytest.mark.parametrize("port", ["-1", "0", "65536", "x", "9" * 30])
def test_a_port_is_a_port(told: dict[str, Any], port: str) -> None:
    assert typed("results", "--port", port) == 2
    assert told == {}


@pytest.mark.parametrize("name", ["", " ", "\u202e", "x" * 81])
def test_a_reviewer_has_a_name(told: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match="1 to 80 characters"):
        typed("results", "--as", name)
    assert told == {}


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no login")])
def test_a_user_without_a_name_is_the_reviewer(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(cli_review.getpass, "getuser", fail)
    assert typed("results") == 0
    assert told["reviewer"] == "reviewer"


# ------------------------------------------------------------------ the folder and the port


def test_only_the_first_of_several_reviews_is_alone(tmp_path: Path) -> None:
    held = review_lock.shared_lock
    with held(tmp_path) as first, held(tmp_path) as second, held(tmp_path) as third:
        assert (first, second, third) == (True, False, False)
    with review_lock.shared_lock(tmp_path) as again:
        assert again


def test_who_came_second_counts_when_the_first_has_gone(tmp_path: Path) -> None:
    first, second = review_lock.shared_lock(tmp_path), review_lock.shared_lock(tmp_path)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with review_lock.shared_lock(tmp_path) as third:
        assert not third
    second.__exit__(None, None, None)


def test_where_no_lock_can_be_made_nobody_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / review_lock.LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with review_lock.shared_lock(tmp_path) as first, review_lock.shared_lock(tmp_path) as second:
        assert first
        assert second
    assert not (tmp_path / "elsewhere").exists()


def test_why_marks_cannot_be_saved_is_said(folder: Path) -> None:
    reader, marks = (
        server.ResultsReader(folder),
        SimpleNamespace(read_only_reason="The disk is\x1b[2J full."),
    )
    said = server._notices(reader, marks, is_alone=True)  # type: ignore[arg-type]
    assert said == ["Marks cannot be saved: The disk is full."]


def test_without_a_wish_any_port_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with server._listen(0) as usual:
        port = usual.getsockname()[1]
        monkeypatch.setattr(server, "DEFAULT_PORT", port)
        with server._listen(None) as other:
            assert other.getsockname()[1] != port


def test_only_this_machine_reaches_the_port() -> None:
    """TCP by name, or short answers would wait for each other's acknowledgement."""
    with server._listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.proto == socket.IPPROTO_TCP


# ------------------------------------------------------------------ all of it, under attack


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
def test_no_path_leads_out_of_the_pages(attacked: Review, path: str) -> None:
    served = Served(attacked.access)
    answer = served.ask(served.head(path))
    assert statuses(answer) in ([400], [404]), answer
    assert b"Traceback" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "query", ["page=" + "9" * 4000, "page=-1", "sort=%00", "kind[]=x&&=&%", "%ff"]
)
def test_odd_parameters_break_no_page(attacked: Review, query: str) -> None:
    served = Served(attacked.access)
    assert statuses(served.ask(served.head(f"/?{query}"))) == [200]


def test_the_token_is_told_once_and_nothing_is_logged(attacked: Review) -> None:
    """Whatever is asked, also with the token where it does not belong."""
    served, token = Served(attacked.access), attacked.access.token
    odd = [f"/candidates/{token}", f"/?x={token}", f"/?token={token}&x", f"/?token={token}x"]
    for target in odd:
        served.ask(served.head(target))
        served.ask(served.head(target, "POST", served.origin, "Content-Length: 0"))
    served.ask(f"NO HTTP {token}\r\n\r\n".encode())
    assert attacked.out.count(token) == 1
    assert attacked.err == ""


def test_who_breaks_the_protocol_is_no_news_for_the_terminal(attacked: Review) -> None:
    """Here: a body that goes wrong after it was refused, on which the server itself stumbles."""
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
    """The guard with an application behind it, as `serve` runs them."""

    access: Access

    @property
    def origin(self) -> str:
        """The header that a page of ours sends with a form."""
        return f"Origin: http://127.0.0.1:{self.access.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.access.port), timeout=PATIENCE)

    def ask(self, raw: bytes) -> bytes:
        """All that is answered until the server closes."""
        with self.connect() as client:
            client.sendall(raw)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def head(self, target: str = "/", method: str = "GET", *lines: str, host: bool = True) -> bytes:
        """The head of a request that may ask, and of the last one."""
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
    """A server in a thread of its own, until it is told to end."""

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


def test_a_browser_is_let_in(served: Served, seen: list[Any]) -> None:
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(served.access.url)
        assert is_inside(answer)
        assert str(answer.url) == f"http://127.0.0.1:{served.access.port}/"
        assert is_inside(client.get(answer.url))
        assert "server" not in answer.headers
    assert len(seen) == 2


def test_a_target_must_be_a_path(served: Served, seen: list[Any]) -> None:
    """An absolute one names a host of its own, which would count instead of the header."""
    for target in ("http://evil.example/", "evil.example:80", "*", "x", "?token=x"):
        assert statuses(served.ask(served.head(target))) in ([400], [403])
    assert seen == []


def test_a_request_names_one_host(served: Served, seen: list[Any]) -> None:
    none = served.head(host=False)
    two = served.head("/", "GET", "Host: evil.example")
    same = served.head("/", "GET", f"host: 127.0.0.1:{served.access.port}")
    for raw in (none, two, same):
        assert statuses(served.ask(raw)) == [400]
    assert statuses(served.ask(none.replace(b"HTTP/1.1", b"HTTP/1.0"))) == [421]
    assert seen == []


def test_old_clients_are_served_if_they_name_the_host(served: Served) -> None:
    assert statuses(served.ask(served.head().replace(b"HTTP/1.1", b"HTTP/1.0"))) == [200]


@pytest.mark.parametrize(
    "raw",
    [b"\r\n" * 3000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000, b"GET /" + b"x" * 100_000,
     b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
     b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_or_has_no_end_is_refused(
    served: Served, seen: list[Any], raw: bytes
) -> None:
    try:
        answer = served.ask(raw)
    except ConnectionError:  # they close while we still send
        answer = b""
    assert {*statuses(answer)} <= {400, 421}
    assert seen == []
    assert statuses(served.ask(served.head())) == [200]


def test_a_target_that_is_too_long_is_said_to_be(served: Served) -> None:
    assert statuses(served.ask(served.head("/" + "x" * MAX_URL))) == [414]


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "BREW", "get"])
def test_unknown_methods_on_a_socket(served: Served, seen: list[Any], method: str) -> None:
    assert statuses(served.ask(served.head("/", method))) == [405]
    assert seen == []


def test_a_head_has_no_body(served: Served) -> None:
    allowed = served.ask(served.head("/", "HEAD"))
    refused = served.ask(served.head("/", "HEAD").replace(b"the-right", b"a-wrong"))
    assert (statuses(allowed), statuses(refused)) == ([200], [403])
    assert allowed.endswith(b"\r\n\r\n")
    assert refused.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("form", ["chunked", "declared", "both", "endless head"])
def test_a_body_without_end_is_cut(served: Served, seen: list[Any], form: str) -> None:
    lines = {
        "chunked": ["Transfer-Encoding: chunked"],
        "declared": [f"Content-Length: {MAX_BODY + 1}"],
        "both": [f"Content-Length: {MAX_BODY + 1}", "Transfer-Encoding: chunked"],
        "endless head": ["Content-Length: " + "9" * 5000],
    }
    with served.connect() as client:
        client.sendall(served.head("/marks", "POST", served.origin, *lines[form]))
        answer = b""
        for _ in range(600):  # as soon as it is refused, nobody listens any more
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


def test_a_chunked_form_is_read(served: Served, seen: list[Any]) -> None:
    head = served.head("/marks", "POST", served.origin, "Transfer-Encoding: chunked")
    assert statuses(served.ask(head + b"3\r\na=b\r\n2\r\n&c\r\n0\r\n\r\n")) == [200]
    assert seen == [("POST", "/marks", 5)]


def test_who_may_not_ask_is_answered_before_the_body_comes(served: Served) -> None:
    head = served.head("/marks", "POST", "Content-Length: 1000")
    assert statuses(served.ask(head)) == [403]


def test_pipelined_requests_are_judged_one_by_one(served: Served, seen: list[Any]) -> None:
    """What an allowed one is followed by is not allowed for that."""
    good, last = served.head("/1"), served.head("/4")
    good = good.replace(b"Connection: close\r\n", b"")
    bad = good.replace(b"the-right", b"a-wrong")
    foreign = good.replace(b"Host: 127.0.0.1", b"Host: evil.example")
    assert statuses(served.ask(good + bad + foreign + last)) == [200, 403, 421, 200]
    assert [path for _, path, _ in seen] == ["/1", "/4"]


def test_a_request_cannot_be_smuggled_in_a_body(served: Served, seen: list[Any]) -> None:
    hidden = served.head("/hidden")
    lines = ["Content-Length: 4", f"Content-Length: {len(hidden)}"]
    assert statuses(served.ask(served.head("/", "POST", *lines) + hidden)) == [400]
    assert seen == []


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%5cx"])
def test_a_path_reaches_the_application_as_text(
    served: Served, seen: list[tuple[str, str, int]], path: str
) -> None:
    """What leads out of a folder is for those to refuse who open files."""
    assert statuses(served.ask(served.head(path))) == [200]
    assert ".." in seen[0][1]


def test_a_nul_on_a_socket(served: Served, seen: list[Any]) -> None:
    assert statuses(served.ask(served.head("/candidates/%00"))) == [400]
    assert seen == []


def test_a_websocket_is_not_opened(served: Served) -> None:
    head = served.head("/", "GET", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
    answer = served.ask(head.replace(b"Connection: close", b"Connection: upgrade, close"))
    assert statuses(answer) == [200]


def test_slow_clients_keep_nobody_waiting(served: Served) -> None:
    """Half a head, half a body, an answer that is not read: each waits for itself alone."""
    half = served.head("/", "POST", served.origin, "Content-Length: 100") + b"x"
    slow = [served.connect() for _ in range(40)]
    try:
        for number, client in enumerate(slow):
            client.sendall((b"GET / HT", half, b"", served.head())[number % 4])
        assert statuses(served.ask(served.head())) == [200]
    finally:
        for client in slow:
            client.close()
