"""Task 2: the middleware, with a scripted limiter and a scripted app."""

from __future__ import annotations

from archprep.grading import criterion

from .http_programs import HttpSweep

ASKED, ABOUT = "the limiter is asked for", "the limiter is asked about"
APP, STARTS, BODY = "the app is called", "the response starts", "the client gets"
FIELDS, PROBLEM = "ratelimit", ("the problem", "the body")


@criterion("Requests but OPTIONS are limited, and nothing else", task=2, points=2, rules=["2.1"])
def test_limited(sweep):
    sweep.kept(HttpSweep((ASKED, APP, "the scope", BODY, "it ")), "2.1")


@criterion("The identity is a verified principal or an address", task=2, points=3, rules=["2.2"])
def test_identity(sweep):
    sweep.kept(HttpSweep((ABOUT, "it raises"), timed=False), "2.2")


@criterion("A request is one hit, and none waits for another", task=2, points=3, rules=["2.3"])
def test_one_hit(sweep):
    sweep.kept(HttpSweep((ASKED,)), "2.3")


@criterion("Responses have both fields", task=2, points=5, rules=["2.4/app", "2.4/refusal", "2.5"])
def test_fields(sweep):
    sweep.kept(HttpSweep((FIELDS,), timed=False), "2.4", "2.5")


@criterion("A denied request is answered with a 429", task=2, points=4, rules=["2.6", "2.7"])
def test_refusal(sweep):
    sweep.kept(HttpSweep((APP, STARTS, BODY, *PROBLEM), timed=False), "2.6", "2.7")


@criterion("Everything else passes unchanged, at once", task=2, points=3, rules=["2.8"])
def test_passes(sweep):
    shown = (APP, STARTS, BODY, "the app receives", "a message", "the scope", "something", "it ")
    sweep.kept(HttpSweep(shown), "2.8")


@criterion("The app's exceptions propagate", task=2, points=2, rules=["2.9"])
def test_raises(sweep):
    sweep.kept(HttpSweep(("it ", STARTS, BODY), timed=False), "2.9")


@criterion(
    "In random programs of requests, nothing else differs from the reference",
    task=2,
    points=4,
    rules=["2.1", "2.2", "2.3", "2.4/app", "2.4/refusal", "2.5", "2.6", "2.7", "2.8", "2.9"],
)
def test_sweep_http(sweep):
    sweep(HttpSweep(), programs=150)
