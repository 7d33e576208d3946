"""What probes share: plain data, errors that the judge ordered, awaited stubs, ASGI fronts."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from types import SimpleNamespace

import pytest

from archprep.worker import asgi, scenario
from archprep.worker.async_stub import AsyncStub
from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import error_named, is_scripted, scripted_error, summarize


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2.5, True, None, "a"), [1, 2.5, True, None, "a"]),
        (OrderedDict({1: ("x",)}), {"1": ["x"]}),
        (float("nan"), "nan"),
        ([float("-inf")], ["-inf"]),
        ({"a": b"x"}, {"a": "b'x'"}),
        (SimpleNamespace(a=1), "namespace(a=1)"),
    ],
)
def test_plain_data(value, expected):
    """Whatever the candidate returns can be sent, and stays recognisable."""
    assert plain(value) == expected


# -- errors that the judge ordered


def test_a_built_in_name_is_that_exception_and_any_other_a_type_of_its_own():
    """Code that catches ConnectionError must catch an ordered one."""
    assert isinstance(scripted_error("ConnectionError", "reset"), ConnectionError)
    error = scripted_error("CardDeclined", "try again")
    assert (type(error).__name__, str(error)) == ("CardDeclined", "try again")
    assert type(scripted_error("int", "")).__mro__[1] is Exception
    assert type(scripted_error("KeyboardInterrupt", "")).__mro__[1] is Exception


def test_ordered_errors_are_told_apart():
    """Groups count when all of what they hold was ordered."""
    ordered = scripted_error("KeyError")
    assert is_scripted(ordered)
    assert not is_scripted(error_named("KeyError", "a"))
    assert not is_scripted(KeyError())
    assert is_scripted(ExceptionGroup("", [ordered, ExceptionGroup("", [ordered])]))
    assert not is_scripted(ExceptionGroup("", [ordered, KeyError()]))


def test_an_error_is_summarized_with_the_candidates_own_place(monkeypatch):
    """The last frame in the candidate's folder, not the library's."""
    monkeypatch.setattr(scenario, "root", "/submission")
    code = compile("def own(f):\n    f()", "/submission/answer.py", "exec")
    namespace = {}
    exec(code, namespace)
    with pytest.raises(ValueError, match="invalid") as caught:
        namespace["own"](lambda: int("x"))
    assert summarize(caught.value).startswith("ValueError: invalid literal")
    assert summarize(caught.value).endswith(" in own, line 2")
    assert summarize(KeyError()) == "KeyError"
    assert summarize(None) == ""


# -- stubs


class Slow:
    """A stub whose calls wait until all of them are there."""

    def __init__(self, count):
        self._barrier = threading.Barrier(count, timeout=10)

    def get(self, key, *, default=None):
        self._barrier.wait()
        return [key, default]


def test_awaited_calls_do_not_block_the_loop():
    """Six calls that wait for one another all get through."""
    stub = AsyncStub(Slow(6))

    async def main():
        return await asyncio.gather(*(stub.get(n, default="x") for n in range(6)))

    assert asyncio.run(main()) == [[n, "x"] for n in range(6)]


def test_an_unknown_method_is_an_attribute_error():
    """As with the stub itself."""
    with pytest.raises(AttributeError):
        AsyncStub(Slow(1)).put("a")


# -- ASGI


SCOPE = {
    "type": "http",
    "client": None,
    "headers": [(b"x-peer", b"192.0.2.7"), (b"x-now", b"12.5"), (b"accept", b"*/*")],
}


def test_the_judges_own_fields_are_taken_off():
    """The app sees a peer and its client's fields."""
    own, scope = asgi.take_headers(SCOPE, ["x-peer", "x-now", "x-else"])
    assert own == {"x-peer": "192.0.2.7", "x-now": "12.5"}
    assert scope["headers"] == [(b"accept", b"*/*")]
    assert scope["client"] == ("192.0.2.7", asgi.PORT)
    assert len(SCOPE["headers"]) == 3


def test_a_request_without_a_peer_has_none():
    """And one whose peer the judge does not name keeps its own."""
    assert asgi.take_headers({**SCOPE, "headers": []}, ["x-peer"])[1]["client"] is None
    scope = {**SCOPE, "client": ("a", 1)}
    assert asgi.take_headers(scope, ["x-now"])[1]["client"] == ("a", 1)


def test_bodies_and_answers():
    """Pieces are joined; an answer is whole."""
    pieces = iter(
        [
            {"type": "http.request", "body": b"a", "more_body": True},
            {"type": "http.request", "more_body": True},
            {"type": "http.request", "body": b"b"},
        ]
    )
    sent = []

    async def receive():
        return next(pieces)

    async def send(message):
        sent.append(message)

    async def main():
        body = await asgi.read_body(receive)
        await asgi.answer(send, 201, body, [("X-A", "1")])

    asyncio.run(main())
    assert sent == [
        {"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"1")]},
        {"type": "http.response.body", "body": b"ab"},
    ]


def test_a_lifespan_is_answered():
    """Start and end, as a server expects."""
    sent = []

    async def receive():
        return {}

    async def send(message):
        sent.append(message["type"])

    asyncio.run(asgi.live(receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
