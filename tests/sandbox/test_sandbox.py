"""The boundary, with a real worker: what a scenario does, and how the judge reacts.

The probes are hostile themselves: the sandbox does not distinguish them from a candidate's code.
Whatever signals or floods runs at level A only.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from archprep.core.errors import CandidateError, ContentError
from archprep.core.model import Limits, Reason, Submission, SubmittedFile
from archprep.sandbox import isolation, processes, scenario_channel, seccomp
from archprep.sandbox.fakes import Refuse, exposed, fake
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.isolation import Profile
from archprep.sandbox.sandbox import SHOWN_OUTPUT, Sandbox
from archprep.sandbox.scenario import Observation, Scenario
from archprep.sandbox.scenario_channel import MAX_BYTES
from archprep.worker import protocol
from archprep.worker.protocol import MAX_FRAME

LIMITS = Limits(seconds=1.0, memory_mb=300, processes=16, output_kb=64, files_mb=4)
SLACK = 2.0  # seconds to end a scenario

level_a = pytest.mark.skipif(
    not processes.is_linux() or not isolation.find_bwraps(), reason="level A needs bubblewrap"
)

PROBES = r"""
import contextlib, ctypes, faulthandler, fcntl, json, os, resource, signal, socket, struct, sys
import tempfile, threading, time

def frame(body):
    return struct.pack(">I", len(body)) + body

def raw(text, wait=0.0):
    os.write(3, text.encode("latin-1"))
    time.sleep(wait)
    os._exit(0)

def raw_frame(text, oracle=None):
    raw(frame(text.encode("latin-1")).decode("latin-1"))

def give(value):
    return value

def prints(text, times=1):
    for _ in range(times):
        print(text)
    return True

def fails():
    print("before")
    raise ValueError("no such luck")

def leaves(status):
    os._exit(status)

def signals_itself(number):
    os.kill(os.getpid(), number)
    time.sleep(60)

def closes_the_channel():
    os.close(3)
    time.sleep(60)

def closes_its_output():
    os.close(1)
    os.close(2)
    print("not read")
    return True

def sleeps(seconds):
    time.sleep(seconds)
    return True

def lets_a_child_answer():
    if os.fork() == 0:
        time.sleep(0.2)
        os.write(3, frame(b'{"result": 1}'))
        time.sleep(60)
    os._exit(0)

def becomes_another_program():
    os.set_inheritable(3, True)
    os.execv("/bin/sh", ["sh", "-c", "printf '\\000\\000\\000\\015{\"result\": 7}' >&3"])

def sends_descriptors():
    channel = socket.socket(fileno=os.dup(3))
    for _ in range(5):
        socket.send_fds(channel, [frame(b'{"imported": true}')], [0, 1, 2])
    return True

def drips():
    for byte in frame(b'{"result": "' + b"x" * 100000 + b'"}'):
        os.write(3, bytes([byte]))
        time.sleep(0.005)

def floods(text, oracle=None):
    data = frame(text.encode()) * 50
    while True:
        os.write(3, data)

def floods_and_reads(text, oracle=None):
    def read():
        while os.read(3, 65536):
            pass
    threading.Thread(target=read, daemon=True).start()
    floods(text)

def calls(oracle, method, *args):
    return getattr(oracle, method)(*args)

def asks(oracle, method, args=(), kwargs={}):
    try:
        return getattr(oracle, method)(*args, **kwargs)
    except Exception as e:
        return [type(e).__name__, str(e)]

def asks_from_threads(oracle, threads, each):
    got = {}
    def ask(n):
        got[str(n)] = [oracle.double(n * each + i) for i in range(each)]
    running = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return got

kept = []

def leaves_traces():
    kept.append(1)
    os.environ["TRACE"] = "1"
    sys.modules["trace_of_the_last"] = os
    give.__defaults__ = ("trace",)
    made = []
    for folder in ("/tmp", "/dev/shm", os.getcwd()):
        try:
            with open(os.path.join(folder, "trace"), "w") as file:
                file.write("x")
            made.append(folder)
        except OSError:
            pass
    return made

def finds_traces():
    found = [name for name in ("/tmp/trace", "/dev/shm/trace", "trace") if os.path.exists(name)]
    found += kept
    found += [name for name in ("TRACE",) if name in os.environ]
    found += [name for name in ("trace_of_the_last",) if name in sys.modules]
    found += give.__defaults__ or ()
    return found

def environment():
    texts = [json.dumps(dict(os.environ))]
    for name in [*filter(str.isdigit, os.listdir("/proc")), "self"]:
        try:
            texts.append(open(f"/proc/{name}/environ").read())
        except OSError:
            pass
    return "".join(texts)

def other_processes():
    return [n for n in os.listdir("/proc") if n.isdigit() and n != os.readlink("/proc/self")]

def opens(paths, how):
    opened = []
    for path in paths:
        try:
            os.close(os.open(path, how))
            opened.append(path)
        except OSError:
            pass
    return opened

def descriptors():
    return sorted(int(n) for n in os.listdir("/proc/self/fd"))[:4]

def writes(megabytes, name):
    written = 0
    try:
        with open(name, "wb") as file:
            for _ in range(megabytes):
                file.write(b"x" * (1 << 20))
                file.flush()
                written += 1
    except OSError:
        pass
    return written

def makes_files(most):
    try:
        for n in range(most):
            os.close(os.open(f"/tmp/{n}", os.O_CREAT))
    except OSError:
        return n
    return most

def takes(megabytes):
    return len(bytearray(megabytes << 20))

def hoards(times=6):
    for _ in range(times):
        if os.fork() == 0:
            kept = b"x" * (150 << 20)
            time.sleep(60)
    time.sleep(60)

def hoards_while_the_judge_sends(oracle, text):
    os.write(3, frame(text.encode()) * 8)  # and reads no answer
    hoards()

def daemon(seconds):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(seconds)
        os._exit(0)
    os.wait()
    return True

def system_calls():
    libc, allowed = ctypes.CDLL(None, use_errno=True), []
    def tried(name, *args):
        if getattr(libc, name)(*args) != -1:
            allowed.append(name)
    tried("unshare", 0x10000000)
    tried("unshare", 0x00020000)
    tried("setns", 0, 0)
    tried("umount2", b"/tmp", 0)
    tried("ptrace", 0, 0, 0, 0)
    tried("personality", 0xFFFFFFFF)
    tried("memfd_create", b"x", 0)
    tried("chroot", b"/tmp")
    libc.mmap.restype = ctypes.c_long
    tried("mmap", None, ctypes.c_size_t(4096), 3, 0x21, -1, ctypes.c_long(0))
    return allowed

def uses_the_judges_socket(name):
    done, channel = [], socket.socket(fileno=3)
    def tried(what, call, *args):
        try:
            call(*args)
            done.append(what)
        except OSError:
            pass
    def signal_peer():
        pidfd = channel.getsockopt(socket.SOL_SOCKET, 77, 4)  # SO_PEERPIDFD: Linux 6.5
        signal.pidfd_send_signal(*struct.unpack("i", pidfd), 0)
    tried("signal", signal_peer)
    tried("name", channel.bind, name)
    tried("listen", channel.listen)
    tried("connect", channel.connect, name)
    for request in (0x8912, 0x8910, 0x8927, 0x894C, 0x89E0):
        tried(hex(request), fcntl.ioctl, channel, request, bytes(64))
    channel.detach()
    return done

def families():
    made = []
    for number in range(1, 46):
        try:
            socket.socket(number, socket.SOCK_DGRAM).close()
            made.append(number)
        except OSError:
            pass
    return made

def sends_out_of_band():
    with socket.socket(fileno=3) as channel:
        channel.send(b"x", socket.MSG_OOB)
        time.sleep(60)

def takes_back_its_output(one_way, two_way, oracle):
    faulthandler.cancel_dump_traceback_later()  # it would print as well
    one_way, two_way = frame(one_way.encode()) * 500, frame(two_way.encode())
    try:
        log = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
        channel = socket.socket(fileno=3)
        channel.settimeout(0.3)
        for number in range(40):
            channel.sendall(one_way)
            time.sleep(0.002)
            channel.sendall(one_way)  # meanwhile the judge believes that there is output
            os.write(1, b"x")
            time.sleep(number % 10 / 500)
            with contextlib.suppress(BlockingIOError):
                os.read(log, 65536)
            channel.sendall(two_way)
            channel.recv(65536)  # until the judge stops answering
    except OSError:
        pass
    time.sleep(60)

def forges_a_dump():
    print("Timeout (0:00:00)!\nThread 0x1 (most recent call first):")
    print('  File "/submission/answer.py", line ' + "9" * 5000 + " in f")
    print('  File "/submission/../secret.py", line 1 in f', flush=True)
    os._exit(0)

def hoards_in_a_backlog():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0hoard")
    listener.listen(4096)
    for _ in range(4000):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sender:
            sender.setblocking(False)
            sender.connect("\0hoard")
            sender.send(b"x" * 100_000)
    time.sleep(1)

def pins_pages():
    reader, writer = os.pipe()
    with open("/tmp/pages", "wb+") as file, socket.socketpair()[0] as there:
        file.write(b"x" * 4096)
        for call in (
            lambda: os.splice(file.fileno(), writer, 1, offset_src=0),
            lambda: os.sendfile(there.fileno(), file.fileno(), 0, 1),
            lambda: fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20),
        ):
            try:
                call()
            except PermissionError:
                continue
            return False
    return True

def dies_while_it_is_dumped():
    print("Timeout (0:00:00)!\nThread 0x1 (most recent call first):", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
"""


@dataclass
class Oracle:
    """A judge-side fake that records its arguments."""

    received: list[Any] = field(default_factory=list)

    @exposed
    def double(self, number: int) -> int:
        self.received.append(number)
        return 2 * number

    @exposed
    def keep(self, *values: Any) -> None:
        self.received.append(values)

    @exposed
    def echo(self, value: Any) -> Any:
        return value

    @exposed
    def repeat(self, text: str, times: Annotated[int, Meta(ge=0, le=9)]) -> str:
        return text * times

    @exposed
    def refuse(self) -> None:
        raise Refuse("closed on Sundays")

    @exposed
    def overflow(self, digits: int) -> float:
        return float(10**digits)

    @exposed
    def recurse(self) -> None:
        self.recurse()

    @exposed
    def misspelt(self) -> None:
        self.recieved.append(1)  # type: ignore[attr-defined]

    @exposed
    def late(self) -> None:
        raise TimeoutError

    @exposed
    def nap(self, seconds: float) -> None:
        time.sleep(seconds)

    @exposed
    def work(self, seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    def steer(self) -> str:
        return "a control of the grader"

    def _private(self) -> str:
        return "secret"


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    root = tmp_path_factory.mktemp("submission")
    root.chmod(0o755)
    return Submission(root, "", ())


def profile_of(level: str) -> Profile:
    if level == "D":
        return isolation.plain()
    if not processes.is_linux() or not isolation.find_bwraps():
        pytest.skip("level A needs bubblewrap")
    return isolation.contained("A")[0]


def boxed(level: str, submission: Submission, probes: str = PROBES, **boot: Any) -> Sandbox:
    boot.setdefault("entry", ())
    program = b"" if level == "D" else seccomp.program()
    return Sandbox(profile_of(level), BootConfig(probes, **boot), submission, program)


@pytest.fixture(scope="module")
def box(submission: Submission) -> Iterator[Sandbox]:
    """A sandbox at level A, shared by many tests, which must not affect each other."""
    with boxed("A", submission) as running:
        yield running


@pytest.fixture(scope="module", params=["A", "D"])
def any_box(request: pytest.FixtureRequest, submission: Submission) -> Iterator[Sandbox]:
    """A sandbox at level A, and one at level D."""
    with boxed(request.param, submission) as running:
        yield running


def play(box: Sandbox, probe: str, limits: Limits = LIMITS, **inputs: Any) -> Any:
    """Run a probe and return its value; an Oracle among the inputs stays in the judge."""
    fakes = {k: v for k, v in inputs.items() if isinstance(v, Oracle)}
    plain = {k: v for k, v in inputs.items() if k not in fakes}
    wrapped = {name: fake(oracle) for name, oracle in fakes.items()}
    return box.run(Scenario(probe, plain, wrapped, limits)).value


def failed(box: Sandbox, probe: str, limits: Limits = LIMITS, **inputs: Any) -> CandidateError:
    """Run a probe that fails; return the error, which must come in time."""
    started = time.monotonic()
    with pytest.raises(CandidateError) as caught:
        play(box, probe, limits, **inputs)
    # Wall time, of which a deadline counts only what the scenario could have used.
    assert time.monotonic() - started < limits.seconds + SLACK
    return caught.value


# -- answers ----------------------------------------------------------------------------------


def test_an_answer_comes_with_the_output(any_box):
    """Output is kept apart from the value, and sanitized."""
    scenario = Scenario("prints", {"text": "a\x1b[2Jb"}, {}, LIMITS)
    assert any_box.run(scenario) == Observation(True, "ab\n")


def test_an_exception_is_reported_with_its_text_and_the_output(any_box):
    error = failed(any_box, "fails")
    assert (error.reason, error.message) == (Reason.CRASH, "ValueError: no such luck")
    assert (error.exception, error.output) == ("ValueError", "before\n")


@pytest.mark.parametrize("status", [0, 3, 200, 255])
def test_an_exit_is_a_crash_with_any_status(any_box, status):
    """Exit status 0 never means an answer; one above 128 is not always a signal."""
    error = failed(any_box, "leaves", status=status)
    assert error.reason is Reason.CRASH
    assert error.message == f"the process ended itself with exit status {status} before it answered"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGTERM", "SIGKILL"])
def test_a_signal_is_named(any_box, name):
    error = failed(any_box, "signals_itself", number=getattr(signal, name))
    assert (error.reason, name in error.message) == (Reason.CRASH, True)


def test_a_closed_channel_is_distinguished_from_an_exit(any_box):
    """A process that closes its channel and lives on is killed, and the message says so."""
    error = failed(any_box, "closes_the_channel")
    assert (error.reason, "closed its connection" in error.message) == (Reason.CRASH, True)


def test_a_closed_output_changes_nothing(any_box):
    assert play(any_box, "closes_its_output") is True


# -- frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "nonsense",
        "[1]",
        '{"result": 1, "result": 2}',
        '{"result": NaN}',
        '{"result": 1e999}',
        '{"result": ' + "9" * 5000 + "}",
        '{"result": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"result": "\\ud800"}',
        '{"result": 1, "passed": true}',
        '{"imported": false}',
        '{"imported": true, "score": 100}',
        '{"score": 100, "passed": true}',
        '{"raised": 1}',
        '{"raised": {}}',
        '{"raised": {"type": [], "message": {}, "frames": 0, "phase": "probe"}}',
        '{"raised": {"type": "E", "message": "m", "frames": [[[], 1, "f"]], "phase": 1}}',
        '{"call": 1}',
        '{"call": "1", "fake": "oracle", "method": "double", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "double", "args": [], "kwargs": {}, "x": 1}',
        '{"call": 1, "fake": "nobody", "method": "double", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "nothing", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "_private", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "__init__", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "__class__", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "mro", "args": [], "kwargs": {}}',
        '{"call": 1, "fake": "oracle", "method": "received", "args": [], "kwargs": {}}',
        '{"id": 1, "value": 2}',
        '{"spawned": 1}',
    ],
)
def test_an_invalid_frame_ends_the_scenario(box, body):
    """It is a protocol error of the candidate, not a fault of archprep."""
    oracle = Oracle()
    assert failed(box, "raw_frame", text=body, oracle=oracle).reason is Reason.PROTOCOL
    assert oracle.received == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (struct.pack(">I", MAX_FRAME + 1) + b"{}", "at most"),
        (b'{"score": 100, "passed": true}', "at most"),
        (struct.pack(">I", 13) + b'{"result": 1}' + b"x", "more"),
        ((struct.pack(">I", 13) + b'{"result": 1}') * 2, "more"),
        (struct.pack(">I", 14) + b'{"result": 1}', "broke off"),
        (b"\0\0", "broke off"),
        (struct.pack(">I", 0), "valid frame"),
    ],
    ids=["oversized", "no length", "trailing byte", "two answers", "truncated", "header", "empty"],
)
def test_bytes_other_than_one_frame_are_a_protocol_error(box, text, said):
    """Oversized, truncated, doubled or followed by more."""
    error = failed(box, "raw", text=text.decode("latin-1"), wait=0.1)
    assert (error.reason, said in error.message) == (Reason.PROTOCOL, True)


def test_a_child_cannot_answer_for_a_process_that_has_ended(box):
    """A scenario ends with its first process, together with what that forked."""
    assert failed(box, "lets_a_child_answer").reason is Reason.CRASH


def test_another_program_may_answer_but_gains_nothing(box):
    """exec keeps the channel; what arrives is a claim like any other."""
    assert play(box, "becomes_another_program") == 7


def test_descriptors_sent_over_the_channel_do_not_reach_the_judge(box):
    """The judge never asks for SCM_RIGHTS, so the kernel drops them."""
    play(box, "give", value=1)
    gc.collect()
    before = len([*Path("/proc/self/fd").iterdir()])
    play(box, "sends_descriptors")
    gc.collect()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_claimed_stack_shows_only_lines_of_the_submission(tmp_path):
    """Other files, and lines that do not exist, are dropped."""
    tmp_path.chmod(0o755)
    (tmp_path / "answer.py").write_text("x = 1\n")
    submission = Submission(tmp_path, "", (SubmittedFile("answer.py", "", 6),))
    frames = [["answer.py", 1, "f"], ["/etc/passwd", 1, "f"], ["answer.py", 10**200, "f"]]
    claim = {"type": "E", "message": "m", "frames": frames, "phase": "probe"}
    text = json.dumps({"raised": claim})
    with boxed("D", submission) as box:
        error = failed(box, "raw_frame", text=text)
    assert [(f.file, f.line, f.text) for f in error.frames] == [("answer.py", 1, "x = 1")]


def test_what_closed_connections_leave_with_a_listener_is_bounded(box):
    """It outlives its senders, costs no descriptor, and no process' memory shows it."""
    before = processes.available_memory()
    error = failed(box, "hoards_in_a_backlog")
    assert (error.reason, "512 sockets" in error.message) == (Reason.MEMORY, True)
    assert before - processes.available_memory() < 300 << 20


def test_pages_of_a_truncated_file_cannot_be_kept_in_sockets(box):
    """One spliced byte would hold a page that belongs to no process any more."""
    assert play(box, "pins_pages") is True


def test_a_scenario_ends_before_this_machine_runs_out_of_memory(box, monkeypatch):
    """The report says so: the candidate's code need not be the cause."""
    monkeypatch.setattr(processes, "available_memory", lambda: 100 << 20)
    error = failed(box, "sleeps", seconds=60)
    assert (error.reason, "this machine had less than" in error.message) == (Reason.MEMORY, True)


def test_a_forged_stack_dump_is_harmless(box):
    """Where code hangs is read from its own output, which may contain anything."""
    error = failed(box, "forges_a_dump")
    assert (error.reason, error.frames) == (Reason.CRASH, ())


def test_code_that_dies_while_its_stack_is_read_was_out_of_time(box):
    """Reading the stack of running code, shortly before its time is up, can end the process."""
    error = failed(box, "dies_while_it_is_dumped")
    assert error.reason is Reason.TIMEOUT


# -- judge-side fakes -------------------------------------------------------------------------


def test_a_fake_answers_in_the_judge_and_keeps_the_log(any_box):
    """Forging a call means making it: what the fake received is a fact."""
    oracle = Oracle()
    assert play(any_box, "asks", oracle=oracle, method="double", args=[21]) == 42
    assert oracle.received == [21]


@pytest.mark.parametrize(
    ("method", "args", "said"),
    [
        ("refuse", [], "closed on Sundays"),
        ("double", [], "unusable arguments"),
        ("double", [None], "unusable arguments"),
        ("double", ["2"], "unusable arguments"),
        ("double", [True], "unusable arguments"),
        ("double", [1, 2], "unusable arguments"),
        ("repeat", ["x", 10**9], "unusable arguments"),
        ("repeat", ["x", -1], "unusable arguments"),
        ("repeat", ["x" * (MAX_FRAME // 2), 3], "cannot be sent"),
    ],
)
def test_a_call_that_the_judge_cannot_answer_fails_in_the_worker(box, method, args, said):
    """Refusals and unusable arguments are not faults of the grader, which would not be scored."""
    kind, text = play(box, "asks", oracle=Oracle(), method=method, args=args)
    assert (kind, said in text) == ("FakeError", True)


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("misspelt", [], AttributeError),
        ("overflow", [400], OverflowError),
        ("recurse", [], RecursionError),
        ("late", [], TimeoutError),
    ],
)
def test_what_a_fake_raises_is_the_graders_fault(box, method, args, error):
    """A typo in a fake costs no points, and the next scenario runs."""
    with pytest.raises(error):
        play(box, "asks", oracle=Oracle(), method=method, args=args)
    assert play(box, "give", value=1) == 1


@pytest.mark.parametrize("method", ["steer", "_private", "received", "__class__", "nothing"])
def test_only_exposed_methods_can_be_called(box, method):
    """The grader's own controls, attributes and private methods cannot be reached."""
    call = {"call": 1, "fake": "oracle", "method": method, "args": [], "kwargs": {}}
    error = failed(box, "raw_frame", oracle=Oracle(), text=json.dumps(call))
    assert (error.reason, "does not exist" in error.message) == (Reason.PROTOCOL, True)


def test_time_in_a_fake_does_not_count(box):
    """A call may take the judge longer than the scenario may run."""
    assert play(box, "asks", oracle=Oracle(), method="nap", args=[1.2]) is None


def test_the_judges_work_for_a_scenario_is_limited(box):
    """A scenario ends if its calls keep the judge busy for longer than it may run."""
    error = failed(box, "asks", oracle=Oracle(), method="work", args=[1.2])
    assert (error.reason, "kept the judge busy" in error.message) == (Reason.OUTPUT, True)


def test_the_number_of_calls_is_limited(box, monkeypatch):
    """Endless calls end the scenario, however cheap they are."""
    monkeypatch.setattr(scenario_channel, "MAX_CALLS", 50)
    error = failed(box, "asks_from_threads", oracle=Oracle(), threads=2, each=30)
    assert (error.reason, "more than 50 calls" in error.message) == (Reason.OUTPUT, True)


def test_threads_call_fakes_at_the_same_time(any_box):
    """Each thread gets its own answers; the judge answers one call at a time."""
    oracle = Oracle()
    got = play(any_box, "asks_from_threads", oracle=oracle, threads=6, each=30)
    assert got == {str(n): [2 * (30 * n + i) for i in range(30)] for n in range(6)}
    assert sorted(oracle.received) == list(range(180))


def test_large_inputs_and_replies_do_not_block(any_box):
    """Even if they exceed the socket's buffer and are not read yet."""
    text = "x" * 900_000
    assert play(any_box, "asks", oracle=Oracle(), method="echo", args=[text]) == text


def test_unread_replies_do_not_block_the_judge(box):
    """The deadline holds for endless calls whose replies are not read."""
    call = {"call": 1, "fake": "oracle", "method": "double", "args": [1], "kwargs": {}}
    error = failed(box, "floods", oracle=Oracle(), text=json.dumps(call))
    assert error.reason in {Reason.TIMEOUT, Reason.OUTPUT}


def test_the_bytes_that_a_scenario_sends_are_limited(box):
    """So that endless large calls do not fill the judge's memory."""
    call = {"call": 0, "fake": "oracle", "method": "keep", "args": [[[]] * 100_000], "kwargs": {}}
    oracle = Oracle()
    patient = Limits(seconds=60, memory_mb=300)  # it takes longer on a loaded machine
    error = failed(box, "floods_and_reads", patient, oracle=oracle, text=json.dumps(call))
    assert error.reason is Reason.OUTPUT
    assert 0 < len(oracle.received) <= MAX_BYTES // 300_000


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "inputs"),
    [
        ("sleeps", {"seconds": 60}),
        ("raw", {"text": "\0\0\0\x0d{", "wait": 60}),
        ("drips", {}),
        ("floods", {"text": '{"imported": true}'}),
        ("signals_itself", {"number": 19}),
        ("sends_out_of_band", {}),
    ],
    ids=["sleep", "half a frame", "slow drip", "frames without end", "stopped", "out of band"],
)
def test_a_scenario_ends_at_its_deadline(box, probe, inputs):
    """Whatever it does, the judge's clock decides, and the next scenario runs."""
    error = failed(box, probe, **inputs)
    assert error.reason in {Reason.TIMEOUT, Reason.OUTPUT}
    assert play(box, "give", value=[1]) == [1]


def test_output_that_is_taken_back_does_not_block_the_judge(any_box):
    """A process of the same user may open the pipe's other end and read its own output."""
    call = {"call": 0, "fake": "oracle", "method": "double", "args": [1], "kwargs": {}}
    one_way, two_way = (json.dumps(call | {"call": number}) for number in (0, 1))
    inputs = {"one_way": one_way, "two_way": two_way, "oracle": Oracle()}
    error = failed(any_box, "takes_back_its_output", **inputs)
    assert error.reason in {Reason.TIMEOUT, Reason.OUTPUT}


def test_a_time_out_names_the_line_that_hangs(tmp_path):
    (tmp_path / "answer.py").write_text("def f():\n    while True:\n        pass\n")
    tmp_path.chmod(0o755)
    submission = Submission(tmp_path, "", (SubmittedFile("answer.py", "", 1),))
    probes = "def hangs():\n    import answer\n    answer.f()\n"
    with boxed("D", submission, probes, entry=("answer",)) as box:
        error = failed(box, "hangs")
    assert (error.reason, error.frames[-1].function) == (Reason.TIMEOUT, "f")
    assert error.output == ""


@pytest.mark.parametrize("name", ["calendar", "probes", "statistics", "build", "tzinfo_of_mine"])
def test_the_candidates_files_import_each_other_first(tmp_path, name):
    """Even if a library has a module of that name, which everything else still gets."""
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import VALUE as VALUE\n")
    (package / "inner.py").write_text("VALUE = 7\n")
    use = f"import {name}\nimport {name}.inner\nfrom {name} import VALUE, inner\n"
    (tmp_path / "answer.py").write_text(
        f"{use}import datetime\ngot = [{name}.VALUE, {name}.inner.VALUE, VALUE, inner.VALUE]\n"
    )
    tmp_path.chmod(0o755)
    package.chmod(0o755)
    probes = "import calendar\ndef probe():\n    import answer, calendar as again\n"
    probes += "    return answer.got, again is calendar and calendar.isleap(2024)\n"
    submission = Submission(tmp_path, "", ())
    for level in ("A", "D"):
        with boxed(level, submission, probes, entry=("answer",)) as box:
            assert play(box, "probe") == [[7] * 4, True]


def test_a_stand_in_replaces_the_candidates_file(tmp_path):
    """What a probe provides in place of a file of the starter is what the candidate imports."""
    (tmp_path / "given.py").write_text("VALUE = 'theirs'\n")
    (tmp_path / "answer.py").write_text("import given\nfrom given import VALUE\n")
    tmp_path.chmod(0o755)
    probes = "from archprep.worker import own_modules\n"
    probes += "own_modules.stand_in('given').VALUE = 'ours'\n"
    probes += "def probe():\n    import answer\n    return answer.VALUE, answer.given.VALUE\n"
    with boxed("D", Submission(tmp_path, "", ()), probes, entry=("answer",)) as box:
        assert play(box, "probe") == ["ours", "ours"]


def test_an_import_that_hangs_is_an_import_error(tmp_path):
    (tmp_path / "answer.py").write_text("import time\ntime.sleep(60)\n")
    tmp_path.chmod(0o755)
    submission = Submission(tmp_path, "", (SubmittedFile("answer.py", "", 1),))
    with boxed("D", submission, "def probe(): return 1", entry=("answer",)) as box:
        error = failed(box, "probe")
    assert (error.reason, "time-out" in error.message) == (Reason.IMPORT, True)


def test_a_long_scenario_does_not_give_the_import_more_time(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "IMPORT_SECONDS", 0.5)
    (tmp_path / "answer.py").write_text("import time\ntime.sleep(60)\n")
    tmp_path.chmod(0o755)
    submission = Submission(tmp_path, "", (SubmittedFile("answer.py", "", 1),))
    with boxed("D", submission, "def probe(): return 1", entry=("answer",)) as box:
        error = failed(box, "probe", replace(LIMITS, seconds=30.0))
    assert error.reason is Reason.IMPORT
    assert "after 0.5 s" in error.message


# -- output, files, memory --------------------------------------------------------------------


def test_output_beyond_the_limit_ends_the_scenario(any_box):
    error = failed(any_box, "prints", text="x" * 1000, times=1000)
    assert error.reason is Reason.OUTPUT
    assert len(error.output) < SHOWN_OUTPUT + 100


@level_a
def test_files_are_limited_in_size_and_number(box):
    """The size of one file and of all, and their number, in the scenario's own /tmp."""
    assert play(box, "writes", megabytes=8, name="/tmp/a") <= LIMITS.files_mb
    assert play(box, "writes", megabytes=8, name="/dev/shm/a") <= LIMITS.files_mb
    assert play(box, "makes_files", most=12_000) < 10_001
    assert play(box, "writes", megabytes=1, name="/submission/a") == 0


def test_too_much_memory_is_reported_as_such(any_box):
    assert failed(any_box, "takes", megabytes=1000).reason is Reason.MEMORY


# -- what is out of reach ---------------------------------------------------------------------


def test_memory_is_watched_while_the_judge_sends(box):
    """The judge keeps sending while a reply is not read."""
    args = {"args": ["x", 900_000], "kwargs": {}}
    text = json.dumps({"call": 1, "fake": "oracle", "method": "repeat"} | args)
    limits = Limits(seconds=8, memory_mb=300, processes=16)
    error = failed(box, "hoards_while_the_judge_sends", limits, oracle=Oracle(), text=text)
    assert error.reason is Reason.MEMORY


def test_memory_of_one_scenario_does_not_end_another(submission):
    """If two run side by side, each has its own limit."""
    limits = Limits(seconds=8, memory_mb=300, processes=16)
    profile, boot = profile_of("A"), BootConfig(PROBES, ())
    box = Sandbox(profile, boot, submission, seccomp.program(), side_by_side=2)
    with box, ThreadPoolExecutor(1) as thread:
        other = thread.submit(play, box, "sleeps", limits, seconds=3)
        assert failed(box, "hoards", limits).reason is Reason.MEMORY
        assert other.result()


def test_a_scenario_leaves_nothing_behind(box):
    """Module globals, the environment, /tmp and /dev/shm are as before."""
    assert "/tmp" in play(box, "leaves_traces")
    assert play(box, "finds_traces") == []
    assert play(box, "finds_traces") == []


@level_a
def test_the_judges_environment_is_invisible(submission, monkeypatch):
    secret = secrets.token_hex(8)
    monkeypatch.setenv("ARCHPREP_TEST_SECRET", secret)
    with boxed("A", submission) as fresh:
        text = play(fresh, "environment")
    assert "PATH" in text
    assert secret not in text


def test_only_four_descriptors_are_open(any_box):
    assert play(any_box, "descriptors") == [0, 1, 2, 3]


def test_other_processes_are_inaccessible_or_invisible(box):
    """The fork server, bubblewrap and siblings cannot be read or written."""
    play(box, "give", value=1)  # so that a sibling waits for the scenario after this one
    others = play(box, "other_processes")
    assert set(others) <= {"1"}
    private = [f"/proc/{n}/{file}" for n in others for file in ("mem", "environ")]
    assert play(box, "opens", paths=private, how=os.O_RDONLY) == []
    assert play(box, "opens", paths=private, how=os.O_WRONLY) == []


def test_kernel_settings_are_not_writable(box):
    names = ["kernel/core_pattern", "vm/overcommit_memory", "kernel/hostname"]
    paths = [f"/proc/sys/{name}" for name in names] + ["/proc/sysrq-trigger"]
    assert play(box, "opens", paths=paths, how=os.O_WRONLY) == []


def test_the_system_call_filter_is_loaded(box):
    """It denies namespaces, mounts, tracing and memory that no watchdog counts."""
    assert play(box, "system_calls") == []


def test_the_judges_socket_can_only_exchange_frames(box):
    """It belongs to the judge's network, which could be examined through it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        name = listener.getsockname().decode()
        listener.setblocking(False)
        assert play(box, "uses_the_judges_socket", name=name) == []
        assert play(box, "uses_the_judges_socket", name=f"{name}-free") == []
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_only_plain_socket_families_are_available(box):
    assert set(play(box, "families")) <= {1, 2, 10, 16}


# -- the fork server --------------------------------------------------------------------------


def test_a_killed_fork_server_is_replaced(submission):
    """At most the running scenario is lost."""
    with boxed("A", submission) as box:
        assert play(box, "give", value=1) == 1
        kill_below(box)
        assert play(box, "give", value=2) == 2
        threading.Timer(0.3, kill_below, [box]).start()
        error = failed(box, "sleeps", Limits(seconds=3), seconds=60)
        assert error.reason is Reason.CRASH
        assert play(box, "give", value=3) == 3


def kill_below(box: Sandbox) -> None:
    """Kill everything in the sandbox, from outside."""
    for pid in processes.below(box.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 2
    while processes.living(processes.below(box.pid)) and time.monotonic() < until:
        time.sleep(0.005)


def test_a_sandbox_that_closes_leaves_no_process(submission):
    """Neither alive nor as a zombie, whatever the last scenario started."""
    before = set(processes.below(os.getpid()))
    with boxed("A", submission) as box:
        play(box, "daemon", seconds=60)
        started = set(processes.below(box.pid))
        assert len(started) >= 2
    assert set(processes.below(os.getpid())) <= before


JUDGE = """
import sys
from pathlib import Path
from archprep.sandbox import isolation, seccomp
from archprep.sandbox.fork_server import BootConfig
from archprep.sandbox.sandbox import Sandbox
from archprep.sandbox.scenario import Scenario
from archprep.core.model import Limits, Submission
probes = "import time\\ndef sleeps(): print('x'); time.sleep(60)"
root = Path(sys.argv[1])
box = Sandbox(
    isolation.contained("A")[0],
    BootConfig(probes, ()),
    Submission(root, "", ()),
    seccomp.program(),
)
print("playing", flush=True)
box.run(Scenario("sleeps", {}, {}, Limits(seconds=60)))
"""


@level_a
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_sandbox_dies_with_the_judge(submission, number):
    """Even if it is killed during a scenario and cannot clean up."""
    processes.adopt_orphans()  # otherwise the machine's init would reap them, some time later
    command = [sys.executable, "-c", JUDGE, str(submission.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout.readline() == "playing\n"
        until = time.monotonic() + 10
        while len(started := processes.below(judge.pid)) < 4 and time.monotonic() < until:
            time.sleep(0.02)
        assert len(started) >= 4
        judge.send_signal(number)
        judge.wait()
    until = time.monotonic() + 2
    while processes.living(started) and time.monotonic() < until:
        time.sleep(0.01)
    assert processes.living(started) == []
    processes.end(started)


def test_a_daemon_ends_with_its_scenario(any_box):
    """At level A with its namespace; at level D because the fork server adopts it."""
    if not processes.is_linux():
        pytest.skip("only Linux has subreapers")
    play(any_box, "daemon", seconds=61)
    until = time.monotonic() + 2
    while time.monotonic() < until and sleeping(any_box, 61):
        time.sleep(0.02)
    assert not sleeping(any_box, 61)


def sleeping(box: Sandbox, seconds: int) -> bool:
    """Whether a process in the sandbox sleeps."""
    names = [Path(f"/proc/{p}/wchan") for p in processes.living(processes.below(box.pid))]
    return sum("nanosleep" in n.read_text() for n in names if n.exists()) > 0


def test_a_sandbox_that_cannot_start_is_not_the_candidates_fault(submission, tmp_path):
    """ContentError with bubblewrap's output, never a verdict."""
    for text, said in (
        ("#!/bin/sh\necho 'No permissions to create namespace' >&2\nexit 1\n", "No permissions"),
        ("no program\n", "cannot be started"),
    ):
        tool = tmp_path / "bwrap"
        tool.write_text(text)
        tool.chmod(stat.S_IRWXU)
        profile = Profile("A", str(tool), "capability", 65534, str(tool))
        broken = Sandbox(profile, BootConfig(PROBES, ()), submission, b"")
        with pytest.raises(ContentError, match=said):
            broken.run(Scenario("give", {"value": 1}, {}, LIMITS))
        broken.close()


def test_a_scenario_that_cannot_be_isolated_is_not_the_candidates_fault(submission):
    """The worker refuses to run it, and the judge says why."""
    profile = Profile("A", "subprocess", "capability", 65534)
    broken = Sandbox(profile, BootConfig(PROBES, ()), submission, b"not a filter")
    try:
        with pytest.raises(ContentError, match="sandbox failed"):
            broken.run(Scenario("give", {"value": 1}, {}, LIMITS))
    finally:
        broken.close()


def test_scenarios_with_other_limits_do_not_use_the_spare_process(any_box):
    """Limits belong to a scenario, not to the process that was started in advance."""
    assert play(any_box, "give", value=1) == 1
    small = Limits(seconds=1, memory_mb=150, processes=16)
    assert failed(any_box, "takes", small, megabytes=170).reason is Reason.MEMORY
    assert play(any_box, "takes", megabytes=170) == 170 << 20


def test_interruptions_end_the_scenario(box):
    """Ctrl-C in a fake kills the scenario; the sandbox stays usable."""

    class Interrupting(Oracle):
        @exposed
        def double(self, number: int) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(box, "asks", oracle=Interrupting(), method="double", args=[1])
    assert play(box, "asks", oracle=Oracle(), method="double", args=[1]) == 2
