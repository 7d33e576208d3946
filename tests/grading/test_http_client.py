"""The judge as client of apps in the sandbox: what they answer, and what they do instead.

The probes are the hostile part: plain sockets that answer whatever the test asks for, and small
ASGI apps under uvicorn.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from archprep.core.errors import CandidateError
from archprep.core.model import Exercise, Limits, Reason, Submission
from archprep.grading import expect, exposed, fake
from archprep.grading.api import Unmet
from archprep.grading.candidate import Candidate
from archprep.grading.http_client import MAX_BYTES, MAX_HEADERS, Request
from archprep.sandbox import isolation, processes, seccomp
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.scenario_channel import HeldReply
from archprep.sandbox.sockets import Endpoint, listeners, silent_endpoint

pytest.importorskip("uvicorn")

LIMITS = Limits(seconds=8.0, memory_mb=400, processes=32, output_kb=64, files_mb=4)
SLACK = 2.0

PROBES = r"""
import asyncio, contextlib, contextvars, os, socket, sys, threading, time
from archprep.worker.serve import serve, serve_each

async def answer(send, status, body, headers=()):
    head = {"type": "http.response.start", "status": status}
    await send(head | {"headers": [(k.encode(), v.encode()) for k, v in headers]})
    await send({"type": "http.response.body", "body": body})

def echo(number=0):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body")
        path = scope["path"]
        if path == "/unwritten":
            raise NotImplementedError
        if path == "/raises":
            raise ValueError("no such luck")
        if path == "/exits":
            os._exit(3)
        if path == "/ends":
            asyncio.get_running_loop().call_soon(sys.exit, 3)
            await asyncio.sleep(60)
        if path.startswith("/kills/"):
            os.kill(int(path.removeprefix("/kills/")), 9)
        if path == "/blocks":
            time.sleep(60)
        if path == "/unavailable":
            await answer(send, 503, b"later")
            return
        said = "\n".join(f"{k.decode()}: {v.decode()}" for k, v in scope["headers"])
        text = f"{number} {os.getpid()} {scope['method']} {path} {scope['client']}\n{said}\n"
        await answer(send, 200, text.encode() + body, [("X-A", "1"), ("x-a", "2")])
    return app

def serves(listeners):
    serve(echo(), listeners[0])

def serves_each(listeners):
    serve_each(echo, listeners)

def counts(listeners, oracle):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            said = await asyncio.to_thread(oracle.ask, scope["path"])
            await answer(send, 200, str(said).encode())
    serve(app, listeners[0])

def raw(listeners, chunks, pause=0.0, endless=False, close=True, times=1):
    chunks = [*chunks[:-1], *chunks[-1:] * times]
    while True:
        link, _ = listeners[0].accept()
        try:
            link.recv(65536)
            for chunk in chunks:
                link.sendall(chunk.encode("latin-1"))
                time.sleep(pause)
            while endless:
                link.sendall(chunks[-1].encode("latin-1"))
                time.sleep(pause)
        except OSError:
            pass
        if close:
            link.close()

def floods_all(listeners, head, piece):
    links, piece = [], piece.encode() * (65536 // len(piece))
    listeners[0].setblocking(False)
    while True:
        with contextlib.suppress(BlockingIOError):
            link, _ = listeners[0].accept()
            link.sendall(head.encode())
            link.setblocking(False)
            links.append([link, piece])
        for entry in links:
            with contextlib.suppress(BlockingIOError):
                entry[1] = entry[1][entry[0].send(entry[1]):] or piece

def sends_out_of_band(listeners):
    link, _ = listeners[0].accept()
    time.sleep(0.5)
    link.send(b"x", socket.MSG_OOB)
    time.sleep(60)

def breaks_off(listeners):
    link, _ = listeners[0].accept()
    link.recv(65536)
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    link.close()
    time.sleep(0.2)
    os._exit(3)

def tells_names(listeners):
    link, _ = listeners[0].accept()
    link.recv(65536)
    names = [listeners[0].getsockname(), link.getsockname(), link.getpeername()]
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + " ".join(names).encode())
    link.close()
    time.sleep(60)

def accepts_nothing(listeners, oracle):
    listeners[0].listen(1)
    oracle.ask("ready")
    time.sleep(60)

def never_listens(listeners):
    time.sleep(60)

def closes_its_listener(listeners):
    listeners[0].close()
    time.sleep(60)

def ends(listeners):
    return True

def prints_and_serves(listeners, megabytes):
    print("hello from the app", flush=True)
    for _ in range(megabytes):
        print("x" * (1 << 20))
    serve(echo(), listeners[0])

def knocks(store):
    link = socket.socket(socket.AF_UNIX)
    link.connect(store)
    link.sendall(b"ping")
    link.settimeout(0.2)
    try:
        return link.recv(10).decode()
    except TimeoutError:
        return "silence"

def leaves_children(listeners):
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(60)
    serve(echo(), listeners[0])
"""


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    root = tmp_path_factory.mktemp("submission")
    root.chmod(0o755)
    return Submission(root, "", ())


@pytest.fixture(scope="module", params=["A", "D"])
def box(request: pytest.FixtureRequest, submission: Submission) -> Iterator[Sandbox]:
    profile, program = isolation.plain(), b""
    if request.param == "A":
        if not processes.is_linux() or not isolation.find_bwraps():
            pytest.skip("level A needs bubblewrap")
        profile, program = isolation.contained("A")[0], seccomp.program()
    boot = BootConfig(PROBES, (), ("uvicorn",))
    with Sandbox(profile, boot, submission, program) as running:
        yield running


@pytest.fixture
def candidate(box: Sandbox) -> Candidate:
    return Candidate(cast("Exercise", SimpleNamespace(limits=LIMITS)), box)


class Oracle:
    """Keeps what it is asked, and gives the answers it was given."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.more = threading.Condition()

    @exposed
    def ask(self, what: str) -> Any:
        with self.more:
            self.asked.append(what)
            self.more.notify_all()
        return self.answers[what]

    def wait_for(self, count: int) -> None:
        with self.more:
            assert self.more.wait_for(lambda: len(self.asked) >= count, timeout=5)


def test_request_and_reply_pass_whole(candidate: Candidate) -> None:
    """Method, path, fields in their order and body arrive; status, fields and body come back."""
    with candidate.serve("serves") as web:
        sent = Request("PUT", "/a%20b", (("x-one", "1"), ("x-one", "2")), b"body \x00\xff")
        reply = web.send(sent)
    head, _, body = reply.body.partition(b"\n")
    assert (reply.status, reply.header("X-a"), reply.header("x-b")) == (200, "1, 2", None)
    assert head.endswith(b"PUT /a b None")
    assert body.startswith(b"host: service\naccept-encoding: identity\nconnection: close\n")
    assert body.endswith(b"x-one: 1\nx-one: 2\nbody \x00\xff")
    assert 0 < reply.seconds < 5


def test_nothing_is_kept_between_requests(candidate: Candidate) -> None:
    """Each request goes out on a connection of its own, without cookies."""
    head = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nSet-Cookie: a=b\r\n"
    with candidate.serve("raw", chunks=[head + "Content-Length: 0\r\n\r\n"]) as web:
        replies = [web.get("/1"), web.get("/2")]
    assert [reply.status for reply in replies] == [302, 302]  # not followed
    with candidate.serve("serves") as web:
        assert b"cookie" not in web.get("/").body


def test_requests_at_the_same_time(candidate: Candidate) -> None:
    """64 requests are all under way before the first is answered; replies keep their order."""
    gate = HeldReply()
    oracle = Oracle({f"/{n}": gate if n == 0 else n for n in range(64)})
    with candidate.serve("counts", oracle=fake(oracle)) as web:
        calls = web.begin(Request("GET", f"/{n}") for n in range(64))
        oracle.wait_for(64) if processes.is_linux() else None
        gate.release("first")
        replies = calls.replies()
    assert [reply.body for reply in replies] == [b"first", *(b"%d" % n for n in range(1, 64))]


def test_held_reply_that_is_released_before_it_is_held(candidate: Candidate) -> None:
    """A gate that is open already lets through."""
    gate = HeldReply()
    gate.release(7)
    gate.release(8)
    with candidate.serve("counts", oracle=fake(Oracle({"/": gate}))) as web:
        assert web.get("/").body == b"7"


def test_reply_that_is_never_released(candidate: Candidate) -> None:
    """The app waits; the request ends at its own deadline; releasing later harms nobody."""
    gate = HeldReply()
    with candidate.serve("counts", oracle=fake(Oracle({"/": gate, "/b": 1}))) as web:
        with pytest.raises(CandidateError, match=r"had not answered GET / after 0\.3 s") as error:
            web.send(Request("GET", "/"), seconds=0.3)
        assert web.get("/b").body == b"1"
    assert error.value.reason is Reason.TIMEOUT
    gate.release()


def test_apps_in_processes_of_their_own(candidate: Candidate) -> None:
    """serve_each: each listener has its own process."""
    with candidate.serve("serves_each", apps=3) as web:
        heads = [web.get("/", app=n).body.split()[:2] for n in (2, 0, 1, 0)]
    assert [number for number, _ in heads] == [b"2", b"0", b"1", b"0"]
    assert len({pid for _, pid in heads}) == 3


def test_unwritten_code_is_told_as_such(candidate: Candidate) -> None:
    """NotImplementedError in the app is no error response but the end of the scenario."""
    with (
        pytest.raises(CandidateError) as error,
        candidate.serve("serves", given="one request") as web,
    ):
        web.get("/unwritten")
    assert error.value.exception == "NotImplementedError"
    assert error.value.given == "one request"


@pytest.mark.parametrize("path", ["/unwritten", "/ends"])
def test_an_app_in_a_process_of_its_own_that_ends(candidate: Candidate, path: str) -> None:
    """It ends the scenario at once, for its own reason."""
    started = time.monotonic()
    with (
        pytest.raises(CandidateError) as error,
        candidate.serve("serves_each", apps=2) as web,
    ):
        web.send(Request("GET", path, app=1))
    assert error.value.exception in ("NotImplementedError", "SystemExit")
    assert time.monotonic() - started < 2


def test_apps_that_end_at_the_same_time(candidate: Candidate) -> None:
    """One of them tells the judge why; the others are not heard after it."""
    for _ in range(3):
        with pytest.raises(CandidateError) as error, candidate.serve("serves_each", apps=3) as web:
            web.all(Request("GET", "/unwritten", app=n) for n in range(3))
        assert error.value.exception == "NotImplementedError"


def test_exception_in_the_app(candidate: Candidate) -> None:
    """It is a response 500; its message is among the prints, without frames of libraries."""
    candidate.playing = "here"
    with candidate.serve("serves") as web:
        assert web.get("/raises").status == 500
        assert web.get("/unavailable").body == b"later"
        assert web.get("/").status == 200
    assert "ValueError: no such luck" in candidate.prints["here"]
    assert "uvicorn" not in candidate.prints["here"]


@pytest.mark.parametrize(
    ("probe", "options", "reason", "message"),
    [
        ("never_listens", {}, Reason.TIMEOUT, "your app had not answered GET / after 1 s"),
        ("closes_its_listener", {}, Reason.PROTOCOL, "closed the connection instead of"),
        ("ends", {}, Reason.CRASH, "the server ended by itself"),
    ],
)
def test_app_that_does_not_serve(
    candidate: Candidate, probe: str, options: dict[str, Any], reason: Reason, message: str
) -> None:
    """Case 43: it costs at most the deadline of the request; nothing waits in a backlog."""
    started = time.monotonic()
    with (
        pytest.raises(CandidateError, match=message) as error,
        candidate.serve(probe, **options) as web,
    ):
        web.send(Request("GET", "/"), seconds=1)
    assert error.value.reason is reason
    assert time.monotonic() - started < 1 + SLACK


def test_app_that_dies(candidate: Candidate) -> None:
    """A process that ends itself over a request is told as such, not as a lost connection."""
    with (
        pytest.raises(CandidateError, match="exit status 3") as error,
        candidate.serve("serves") as web,
    ):
        web.get("/exits")
    assert error.value.reason is Reason.CRASH


OK = "HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("options", "reason", "message"),
    [
        ({"chunks": [OK, *["X: y\r\n"] * 500], "pause": 0.05}, Reason.TIMEOUT, "GET / after 1 s"),
        (
            {"chunks": [OK + "Content-Length: 500\r\n\r\n", *["x"] * 500], "pause": 0.05},
            Reason.TIMEOUT,
            "had not finished answering GET / after 1 s",
        ),
        ({"chunks": [OK + "\r\n", "x" * 60000], "endless": True}, Reason.OUTPUT, "than 2 MB"),
        ({"chunks": [OK, "X: y\r\n" * 1000], "endless": True}, Reason.PROTOCOL, "invalid HTTP"),
        (
            {"chunks": ["HTTP/1.1 103 Early Hints\r\n\r\n" * 1000], "endless": True},
            Reason.OUTPUT,
            "than 100 interim",
        ),
        ({"chunks": ["SSH-2.0-OpenSSH\r\n"]}, Reason.PROTOCOL, "invalid HTTP"),
        ({"chunks": [OK + "Content-Length: 9\r\n\r\nx"]}, Reason.PROTOCOL, "invalid HTTP"),
        ({"chunks": [OK]}, Reason.PROTOCOL, "invalid HTTP"),
        ({"chunks": [""]}, Reason.PROTOCOL, "closed the connection"),
        ({"chunks": ["\x1b[2J\r\n\r\n"]}, Reason.PROTOCOL, "invalid HTTP"),
    ],
    ids="slow-headers slow-body endless-body endless-headers endless-hints other-protocol "
    "cut-off-body cut-off-headers nothing garbage".split(),
)
def test_broken_replies(
    candidate: Candidate, options: dict[str, Any], reason: Reason, message: str
) -> None:
    """Case 44: a total deadline and a cap; what is no HTTP is the candidate's doing."""
    started = time.monotonic()
    with (
        pytest.raises(CandidateError, match=message) as error,
        candidate.serve("raw", **options) as web,
    ):
        web.send(Request("GET", "/"), seconds=1)
    assert error.value.reason is reason, error.value
    assert "\x1b" not in error.value.message
    assert time.monotonic() - started < 1 + SLACK


def test_compressed_reply_stays_as_it_is(candidate: Candidate) -> None:
    """Case 45: nothing is ever decompressed, whatever the reply says of itself."""
    head = OK + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    with candidate.serve("raw", chunks=[head + "\x1f\x8b\x08\x00"]) as web:
        assert web.get("/").body == b"\x1f\x8b\x08\x00"


def test_more_than_the_cap_in_one_piece(candidate: Candidate) -> None:
    """The cap counts the whole reply."""
    head = OK + f"Content-Length: {MAX_BYTES}\r\n\r\n"
    with (
        pytest.raises(CandidateError, match="than 2 MB"),
        candidate.serve("raw", chunks=[head, "x" * 65536], times=MAX_BYTES // 65536) as web,
    ):
        web.get("/")


@pytest.mark.parametrize(
    "body",
    ["", "{", "1} ", '1, "more": 2', '1, "body": 2', "NaN", '"\\ud800"', "[" * 70 + "]" * 70],
)
def test_body_that_is_no_json(candidate: Candidate, body: str) -> None:
    """A body is parsed as strictly as a frame."""
    head = OK + f"Content-Length: {len(body)}\r\n\r\n"
    with candidate.serve("raw", chunks=[head + body]) as web:
        reply = web.get("/")
    with pytest.raises(CandidateError, match="not valid JSON"):
        reply.json()


def test_body_that_is_json(candidate: Candidate) -> None:
    """A sound body is what it says."""
    with candidate.serve("raw", chunks=[OK + 'Content-Length: 8\r\n\r\n{"a": 1}']) as web:
        assert web.get("/").json() == {"a": 1}


def test_process_of_an_app_that_is_killed(candidate: Candidate) -> None:
    """Nobody holds its socket open: who asks it does not wait for a time-out."""
    with candidate.serve("serves_each", apps=3) as web:
        pid = web.get("/", app=1).body.split()[1].decode()
        assert web.get(f"/kills/{pid}", app=2).status == 200
        with pytest.raises(CandidateError, match="closed the connection") as error:
            web.get("/", app=1)
        assert web.get("/", app=0).status == 200
    assert error.value.reason is Reason.PROTOCOL


def test_names_of_sockets_are_no_paths(candidate: Candidate) -> None:
    """Whoever has a socket learns nothing about the judge's folders."""
    with candidate.serve("tells_names") as web:
        names = web.get("/").body.decode()
    if not processes.is_linux():
        pytest.skip("elsewhere it has a path of its own")
    assert set(re.sub(r"\d+", "N", names).split()) == {"/proc/self/fd/N/N"}


def test_more_than_all_replies_may_have(candidate: Candidate) -> None:
    """The replies of one scenario have a cap, too: there may be many at the same time."""
    size = MAX_BYTES - 1024
    head, piece = OK + f"Content-Length: {size}\r\n\r\n", "x" * (size // 8)
    with candidate.serve("raw", chunks=[head, piece], times=8) as web:
        assert [len(reply.body) for reply in web.all([Request("GET", "/")] * 4)] == [size] * 4
        with pytest.raises(CandidateError, match="more than 8 MB in one scenario") as error:
            web.get("/")
    assert error.value.reason is Reason.OUTPUT


@pytest.mark.parametrize("count", [MAX_HEADERS, MAX_HEADERS + 1])
def test_header_fields_are_counted(candidate: Candidate, count: int) -> None:
    """As many as an honest app may send; one more is refused."""
    head = OK + "a: b\r\n" * (count - 1) + "Content-Length: 0\r\n\r\n"
    with suppress(CandidateError), candidate.serve("raw", chunks=[head]) as web:
        assert len(web.get("/").headers) == count == MAX_HEADERS


def test_small_pieces_on_many_connections(candidate: Candidate) -> None:
    """They are slow to read; the deadline holds all the same."""
    head = OK + "Transfer-Encoding: chunked\r\n\r\n"
    started = time.monotonic()
    with (
        pytest.raises(CandidateError, match="GET / after 1 s") as error,
        candidate.serve("floods_all", head=head, piece="1\r\nx\r\n") as web,
    ):
        web.all([Request("GET", "/")] * 64, seconds=1)
    assert error.value.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 1 + 2 * SLACK


def test_byte_out_of_band(candidate: Candidate) -> None:
    """It announces data that never comes: the judge does not wait for them."""
    started = time.monotonic()
    with (
        pytest.raises(CandidateError, match="GET / after 1 s") as error,
        candidate.serve("sends_out_of_band") as web,
    ):
        web.send(Request("GET", "/"), seconds=1)
    assert error.value.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 1 + SLACK


def test_app_that_dies_in_the_middle_of_a_reply(candidate: Candidate) -> None:
    """Its end is told, not the reply that broke off before it."""
    with pytest.raises(CandidateError, match="status 3"), candidate.serve("breaks_off") as web:
        web.get("/")


def test_app_that_accepts_no_connections(candidate: Candidate) -> None:
    """Its queue is full: the next request is not even sent, and nothing waits."""
    oracle = Oracle({"ready": 1})
    with candidate.serve("accepts_nothing", oracle=fake(oracle)) as web:
        oracle.wait_for(1)
        with pytest.raises(CandidateError, match="accepts no more connections") as error:
            web.all([Request("GET", "/")] * 4)
    assert error.value.reason is Reason.TIMEOUT


def test_prints_are_kept(candidate: Candidate) -> None:
    """What the app prints is kept for the criterion that plays."""
    candidate.playing = "prints"
    with candidate.serve("prints_and_serves", megabytes=0) as web:
        web.get("/")
    assert "hello from the app" in candidate.prints["prints"]


def test_flood_of_prints(candidate: Candidate) -> None:
    """It ends the scenario for that reason, not for a lost connection."""
    with (
        pytest.raises(CandidateError) as error,
        candidate.serve("prints_and_serves", megabytes=1) as web,
    ):
        web.get("/")
    assert error.value.reason is Reason.OUTPUT


def test_prints_of_an_app_that_did_not_answer(candidate: Candidate) -> None:
    """They may tell why, whoever has noticed: the judge as client, or the grader."""
    with (
        pytest.raises(CandidateError) as error,
        candidate.serve("prints_and_serves", megabytes=0) as web,
    ):
        web.send(Request("GET", "/blocks"), seconds=0.5)
    assert "hello from the app" in error.value.output
    candidate.playing = "failed"
    with pytest.raises(Unmet), candidate.serve("prints_and_serves", megabytes=0) as web:
        expect(web.get("/").status == 404, expected="404", observed="200")
    assert "hello from the app" in candidate.prints["failed"]


@pytest.mark.parametrize(("patience", "reason"), [(0.5, Reason.IMPORT), (4, Reason.TIMEOUT)])
def test_import_that_hangs(
    submission: Submission, patience: float, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 40: it is told as such, once for all scenarios; unless nobody has waited for it."""
    monkeypatch.setattr("archprep.sandbox.scenario.SERVER_IMPORT_SECONDS", patience)
    (submission.root / "sleeps.py").write_text("import time\ntime.sleep(60)\n")
    boot = BootConfig(PROBES, ("sleeps",), ("uvicorn",))
    with Sandbox(isolation.plain(), boot, submission, b"") as box:
        candidate = Candidate(cast("Exercise", SimpleNamespace(limits=LIMITS)), box)
        with pytest.raises(CandidateError) as error, candidate.serve("serves") as web:
            web.send(Request("GET", "/"), seconds=0.7)
        assert error.value.reason is reason
        started = time.monotonic()
        with pytest.raises(CandidateError), candidate.serve("serves") as web:
            web.send(Request("GET", "/"), seconds=0.5)
        assert time.monotonic() - started < 2


def test_error_of_the_grader_passes(candidate: Candidate) -> None:
    """What the block raises is not replaced; the scenario ends all the same."""

    def grade() -> None:
        with candidate.serve("serves") as web:
            web.get("/")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grade()
    with candidate.serve("serves") as web:
        assert web.get("/").status == 200


def test_ended_when_it_was_ended_for_a_reason(candidate: Candidate) -> None:
    """An app that was killed after its last reply has not behaved."""

    def grade() -> None:
        with candidate.serve("serves", seconds=0.5) as web:
            web.get("/")
            time.sleep(0.8)

    with pytest.raises(CandidateError, match=r"after 0\.5 s"):
        grade()


def test_blocked_app_costs_its_own_scenario(candidate: Candidate) -> None:
    """Case 48: the next scenario has a server of its own."""
    with pytest.raises(CandidateError, match="GET /blocks"), candidate.serve("serves") as web:
        web.send(Request("GET", "/blocks"), seconds=0.5)
    with candidate.serve("serves") as web:
        assert web.get("/").status == 200


def test_no_process_survives(candidate: Candidate, box: Sandbox) -> None:
    """The end of the block ends all the app's processes."""
    with candidate.serve("serves") as web:
        web.get("/")
    before = len(processes.living(processes.below(box.pid)))
    with candidate.serve("leaves_children") as web:
        web.get("/")
    assert len(processes.living(processes.below(box.pid))) <= before


def test_door(candidate: Candidate) -> None:
    """A probe reaches the judge's socket through what it was given, and it alone."""
    with silent_endpoint() as door:
        assert candidate.observe("knocks", store=door) == "silence"


def test_door_leads_where_it_led(candidate: Candidate, tmp_path: Path) -> None:
    """Case 47: the descriptor names the socket itself, whatever its path becomes."""
    if not processes.is_linux():
        pytest.skip("endpoints are descriptors on Linux")
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(tmp_path / "other"))
    other.listen()
    with listeners(1) as (listener,):
        path = Path(listener.getsockname())
        door = Endpoint(path)
        assert candidate.observe("knocks", store=door) == "silence"
        path.unlink()
        path.symlink_to(tmp_path / "other")
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.accept()
    other.close()


def test_waiting_for_what_an_app_does(candidate: Candidate) -> None:
    """A barrier waits for calls, at most so long, and not at all for an app that has ended."""
    oracle = Oracle({"/": 1, "/b": 2})
    with candidate.serve("counts", oracle=fake(oracle)) as web:
        calls = web.begin([Request("GET", "/")])
        assert web.wait_until(lambda: oracle.asked == ["/"])
        assert not web.wait_until(lambda: oracle.asked == ["/", "/b"], seconds=0.1)
        calls.replies()

    def grade() -> None:
        with candidate.serve("serves") as web:
            web.begin([Request("GET", "/exits")])
            web.wait_until(lambda: False)

    started = time.monotonic()
    with pytest.raises(CandidateError, match="exit status"):
        grade()
    assert time.monotonic() - started < 3
