"""What was sent and what came back, in words in which no random value appears."""

from __future__ import annotations

import json

import pytest

from archprep.grading.api import Unmet
from archprep.grading.http_client import Reply, Request
from archprep.grading.toolkit.client import SHOWN, Client


class Web:
    """Stands for the HTTP client of a scenario: answers with what it was given, in order."""

    def __init__(self, *bodies):
        self.bodies, self.sent = list(bodies), []

    def all(self, requests, *, seconds):
        requests = list(requests)
        self.sent += requests
        return [Reply(200, [], json.dumps(self.bodies.pop(0)).encode(), 0.0) for _ in requests]


TOKENS = {"access_token": "aaaa.bb4b.cccc", "refresh_token": "r3fr35h-t0k3n", "expires_in": 600}


def test_received_tokens_are_named_after_the_step_they_came_from():
    """Wherever they appear afterwards."""
    client = Client(Web(TOKENS, {"error": "denied"}, []))
    client.symbols.name("hunter22", "ann's password")
    login = client.send("POST", "/login", data={"username": "ann", "password": "hunter22"})
    client.send("GET", "/", bearer=login.text("access_token"))
    client.send("POST", "/token", form={"refresh_token": login.text("refresh_token")}, app=1)
    first, *others = client.history().splitlines()
    assert first.startswith(
        '1. POST /login, {"username": "ann", "password": "<ann\'s password>"} -> 200'
    )
    assert first.endswith('"refresh_token": "<the refresh token of step 1>", "expires_in": 600}')
    assert others == [
        '2. GET /, Authorization: Bearer <the access token of step 1> -> 200 {"error": "denied"}',
        "3. POST /token, refresh_token=<the refresh token of step 1>, to process 2 -> 200 []",
    ]


def test_what_is_sent_is_what_was_asked_for():
    """Symbols are for sentences only, and common fields are in every request and no sentence."""
    web = Web({})
    client = Client(web, common=[("x-peer", "192.0.2.7")])
    client.symbols.name("s3cr3t-t0k3n", "the token")
    client.send("POST", "/a", form={"a": "s3cr3t-t0k3n"}, headers=[("If-Match", '"v1"')])
    (sent,) = web.sent
    assert sent == Request(
        "POST",
        "/a",
        (
            ("x-peer", "192.0.2.7"),
            ("If-Match", '"v1"'),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ),
        b"a=s3cr3t-t0k3n",
    )
    assert client.history() == '1. POST /a, If-Match: "v1", a=<the token> -> 200 {}'


def test_the_first_name_of_a_value_stays_and_the_longest_value_wins():
    """A token that contains another is not cut in two."""
    client = Client(Web())
    client.symbols.name("abcdefgh", "one")
    client.symbols.name("abcdefgh.ijk", "two")
    client.symbols.name("abcdefgh", "three")
    assert client.symbols.replace_in("abcdefgh.ijk abcdefgh") == "<two> <one>"


def test_a_check_shows_the_history_until_its_own_step():
    """What came later did not lead to it."""
    client = Client(Web({"n": 1}, {"n": 2}))
    first, _ = client.send("GET", "/first"), client.send("GET", "/second")
    with pytest.raises(Unmet) as caught:
        first.check({"the store": []}).json({"n": 2})
    assert caught.value.given == '1. GET /first -> 200 {"n": 1}'
    assert "the store was not called" in caught.value.observed


def test_a_history_is_bounded_and_can_begin_anew():
    """Only what matters to a failure is shown; steps keep their numbers."""
    client = Client(Web(*[{}] * 30))
    for _ in range(20):
        client.send("GET", "/")
    assert len(client.history().splitlines()) == SHOWN
    client.begin_anew()
    client.note("60 s pass")
    client.send("GET", "/")
    assert client.history().splitlines() == ["60 s pass", "21. GET / -> 200 {}"]


def test_a_body_that_is_no_object_has_no_texts():
    """A grader need not ask first."""
    answer = Client(Web([1])).send("GET", "/")
    assert (answer.body, answer.text("id")) == ({}, "")


def test_what_the_candidate_sends_is_bounded():
    """Neither many texts nor long ones may hold the judge up or fill a report."""
    flood = {f"k{n}": f"v{n}-{'x' * 90}" for n in range(20_000)}
    client = Client(Web(flood, {"long": "y" * 1_000_000}))
    client.send("GET", "/")
    client.send("GET", "/")
    assert all(len(line) < 700 for line in client.history().splitlines())
    assert client.history().startswith('1. GET / -> 200 {"k0": "<the k0 of step 1>"')
