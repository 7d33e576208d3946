"""The worker's own parts: the protocol, the stubs, what a scenario says of itself."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from archprep.worker import protocol, scenario
from archprep.worker.stubs import Channel, FakeError, Stub


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a channel: the judge's and the worker's."""
    judge, worker = socket.socketpair()
    judge.settimeout(10)
    worker.settimeout(10)
    with judge, worker:
        yield judge, worker


# -- protocol ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [{}, {"a": None}, {"deep": [[[{"x": [1.5, -3, "é😀", True]}]]]}, {"n": 10**299}],
)
def test_what_is_sent_arrives(pair, message):
    """A frame carries plain data unchanged."""
    judge, worker = pair
    protocol.send(worker, message)
    assert protocol.receive(judge) == message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[1]",
        b"1",
        b'"text"',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * 301 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 64 + b"{}" + b"}" * 64,
        b'{"a": 1} {"b": 2}',
        b"{'a': 1}",
    ],
    ids=range(24),
)
def test_a_body_that_could_trip_a_later_step_is_refused(body):
    """Only what can be walked, shown, compared and encoded passes."""
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"a": [' + b"[]," * 500 + b"[]]}",
        b'{"a": "' + b"[" * 500 + b'"}',
        b'{"a": "\\ud83d\\ude00"}',
        b'{"a": ' + b"9" * 300 + b"}",
        b'{"a": 1e308}',
    ],
    ids=["as deep as allowed", "wide", "brackets in a text", "a pair", "long", "large"],
)
def test_what_only_looks_extreme_passes(body):
    """The strict rules refuse nothing that an honest probe returns."""
    assert protocol.decode(body) == json.loads(body)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), b"bytes"])
def test_what_is_not_plain_data_cannot_be_sent(value):
    """Encoding is as strict as decoding."""
    with pytest.raises(protocol.ProtocolError, match="plain data"):
        protocol.encode({"value": value})


def test_a_frame_has_a_largest_size_on_both_sides():
    """Neither is an oversized frame made, nor is its header believed."""
    with pytest.raises(protocol.ProtocolError, match="bytes"):
        protocol.encode({"value": "x" * protocol.MAX_FRAME})
    with pytest.raises(protocol.ProtocolError, match="bytes"):
        protocol.body_length(protocol.HEADER.pack(protocol.MAX_FRAME + 1))
    assert protocol.body_length(protocol.HEADER.pack(protocol.MAX_FRAME)) == protocol.MAX_FRAME


@pytest.mark.parametrize("cut", [1, 4, 9])
def test_a_channel_that_closes_within_a_frame_is_an_error_between_frames_an_end(pair, cut):
    """EOF is told from a truncated frame."""
    judge, worker = pair
    protocol.send(worker, {"a": 1})
    worker.sendall(protocol.encode({"a": 1})[:cut])
    worker.close()
    assert protocol.receive(judge) == {"a": 1}
    with pytest.raises(protocol.ProtocolError, match="middle"):
        protocol.receive(judge)


def test_the_end_of_a_channel_between_frames_is_none(pair):
    judge, worker = pair
    worker.close()
    assert protocol.receive(judge) is None


# -- stubs ------------------------------------------------------------------------------------


def test_a_method_of_a_stub_is_a_call_and_its_answer(pair):
    """A stub holds nothing: arguments go out, the judge's answer comes back."""
    judge, worker = pair
    protocol.send(judge, {"id": 1, "value": [1, 2]})
    assert Stub(Channel(worker), "store", []).fetch("key", limit=3) == [1, 2]
    assert protocol.receive(judge) == {
        "call": 1, "fake": "store", "method": "fetch", "args": ["key"], "kwargs": {"limit": 3},
    }  # fmt: skip


def test_a_refused_call_raises_with_the_judges_words(pair):
    judge, worker = pair
    protocol.send(judge, {"id": 1, "error": "closed on Sundays"})
    with pytest.raises(FakeError, match="closed on Sundays"):
        Stub(Channel(worker), "store", []).fetch()


def test_a_told_method_does_not_wait(pair):
    """What is only told returns at once; it goes out, in order, before the next frame."""
    judge, worker = pair
    channel = Channel(worker)
    stub = Stub(channel, "log", ["note"])
    assert stub.note("a") is None
    assert stub.note("b") is None
    channel.send({"result": None})
    frames = [protocol.receive(judge) for _ in range(3)]
    assert [f.get("args") for f in frames] == [["a"], ["b"], None]
    assert [f.get("call") for f in frames] == [0, 0, None]


def test_private_names_of_a_stub_are_no_calls(pair):
    """copy, pickle and inspect look for them: they must not reach the judge."""
    judge, worker = pair
    stub = Stub(Channel(worker), "store", [])
    for name in ("_hidden", "__deepcopy__", "__len__"):
        assert not hasattr(stub, name)
    judge.setblocking(False)
    with pytest.raises(BlockingIOError):
        judge.recv(1)


def test_threads_may_call_at_the_same_time(pair):
    """Each thread gets the answer to its own call, though the answers come in reverse order."""
    judge, worker = pair
    stub = Stub(Channel(worker), "store", [])
    got: dict[int, int] = {}
    for start in range(0, 80, 4):
        numbers = range(start, start + 4)
        threads = [
            threading.Thread(target=lambda n=n: got.update({n: stub.double(n)})) for n in numbers
        ]
        for thread in threads:
            thread.start()
        for call in reversed([protocol.receive(judge) for _ in numbers]):
            protocol.send(judge, {"id": call["call"], "value": call["args"][0] * 2})
        for thread in threads:
            thread.join(10)
    assert got == {n: 2 * n for n in range(80)}


def test_a_judge_that_hangs_up_ends_the_call(pair):
    judge, worker = pair
    judge.close()
    with pytest.raises((FakeError, OSError)):
        Stub(Channel(worker), "store", []).fetch()


# -- a scenario's own account -----------------------------------------------------------------


@pytest.fixture
def play(pair, tmp_path, monkeypatch):
    """Play a probe of `source` in this process; return what the judge would read."""
    judge, worker = pair
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def run(source: str, entry: list[str] = ()) -> list[dict]:
        probes = ModuleType("probes")
        exec(source, probes.__dict__)
        nothing = {"inputs": {}, "fakes": {}, "listeners": 0, "endpoints": []}
        protocol.send(judge, {"probe": "probe"} | nothing)
        scenario.play(worker, probes, str(tmp_path), list(entry), 30.0)
        worker.shutdown(socket.SHUT_WR)
        frames = []
        while (frame := protocol.receive(judge)) is not None:
            frames.append(frame)
        return frames

    return run


def test_a_scenario_says_that_it_has_imported_and_then_answers(play):
    assert play("def probe(): return [1]") == [{"imported": True}, {"result": [1]}]


@pytest.mark.parametrize("error", ["SystemExit(0)", "KeyboardInterrupt", "GeneratorExit"])
def test_whatever_is_raised_is_reported(play, error):
    """An exception that is no error ends the scenario like any other."""
    _, last = play(f"def probe(): raise {error}")
    assert last["raised"]["type"] == error.partition("(")[0]
    assert last["raised"]["phase"] == "probe"


def test_only_the_candidates_own_frames_are_named(play, tmp_path):
    """Probes are not theirs to see; files are named as in the workspace."""
    (tmp_path / "mine_a1.py").write_text("def f():\n    raise ValueError('no')\n")
    _, last = play("def probe():\n    import mine_a1\n    mine_a1.f()", ["mine_a1"])
    assert last["raised"]["frames"] == [["mine_a1.py", 2, "f"]]


def test_a_syntax_error_is_told_with_its_line(play, tmp_path):
    (tmp_path / "mine_b2.py").write_text("x = 1\ndef (:\n")
    (last,) = play("def probe(): return 1", ["mine_b2"])
    assert last["raised"]["phase"] == "import"
    assert last["raised"]["syntax"] == ["mine_b2.py", 2]


def test_a_message_that_cannot_be_shown_does_not_hide_the_exception(play):
    """An exception's own __str__ is the candidate's code, and a text may hold anything."""
    source = "class E(Exception):\n def __str__(self): raise ValueError\ndef probe(): raise E"
    assert "cannot be shown" in play(source)[-1]["raised"]["message"]


def test_a_message_of_lone_surrogates_is_still_a_frame(play):
    message = play("def probe(): raise ValueError('a\\ud800b')")[-1]["raised"]["message"]
    assert message == "a?b"


def test_what_is_not_plain_data_is_the_probes_exception(play):
    assert "object" in play("def probe(): return object()")[-1]["raised"]["message"]
