"""Forged observations and replies keep the shape of what was recorded, and no value."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from archprep.author import forged_runner


def test_forged_data_keeps_the_shape_and_no_value():
    """Redrawn data has the types and sizes of the recorded data."""
    seen = {"a": [1, 2.5, "text", None, {"b": [True] * 40}], "c": []}
    forged = forged_runner.redrawn(random.Random(1), seen)
    assert forged != seen
    assert [type(v) for v in forged["a"]] == [type(v) for v in seen["a"]]
    assert len(set(forged["a"][4]["b"])) == 2
    assert (forged["c"], len(forged["a"][2])) == ([], 4)


def test_forged_replies_are_http():
    """The judge's client can read every forged reply, and no recorded number is kept."""
    pytest.importorskip("h11")
    from archprep.author import forged_replies
    from archprep.grading.http_client import HttpClient, Request
    from archprep.sandbox.sockets import listeners

    rng = random.Random(1)
    seen = forged_replies.ForgedReply(
        429, [("retry-after", "17"), ("content-length", "3")], '{"a": 12345}'
    )
    said = iter([seen, seen.redrawn(rng, forged_runner.redrawn), None, {"x": [1, "\x00", 0.5]}])
    with listeners(1) as (listener,):
        scenario = forged_replies.serve([listener], lambda: next(said))
        web = HttpClient([Path(listener.getsockname())], scenario)
        first, second, third, fourth = (web.send(Request("GET", "/")) for _ in range(4))
    assert (first.status, first.header("retry-after"), first.json()) == (429, "17", {"a": 12345})
    assert second.json().keys() == {"a"}
    assert second.json()["a"] != 12345
    assert (third.json(), fourth.json()) == (None, {"x": [1, "\x00", 0.5]})
