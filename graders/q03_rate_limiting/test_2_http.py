"""Task 2: the middleware, with a scripted limiter and a scripted app."""

from __future__ import annotations

from archprep.grading import criterion

from .http_programs import HttpSweep
from .kept import play_kept

ASKED = ("the limiter",)
APP = ("the app",)
RESPONSE = ("the response", "the client", "the problem", "the body", "it raises")
FIELDS = ("ratelimit",)


@criterion("Requests but OPTIONS are limited, and nothing else", task=2, points=2, rules=["2.1"])
def test_limited(sweep):
    play_kept(sweep, HttpSweep(("the limiter is asked for", *APP, "the client", "it ")), "2.1")


@criterion("The identity is a verified principal or an address", task=2, points=3, rules=["2.2"])
def test_identity(sweep):
    play_kept(sweep, HttpSweep(("the limiter is asked about", "it raises")), "2.2")


@criterion("A request is one hit, and none waits for another", task=2, points=3, rules=["2.3"])
def test_one_hit(sweep):
    play_kept(sweep, HttpSweep(("the limiter is asked for", *APP)), "2.3")


@criterion(
    "Every response to a limited request has both fields, from its own decision",
    task=2,
    points=5,
    rules=["2.4/app", "2.4/refusal", "2.5"],
)
def test_fields(sweep):
    play_kept(sweep, HttpSweep(FIELDS), "2.4", "2.5")


@criterion("A denied request is answered with a 429", task=2, points=4, rules=["2.6", "2.7"])
def test_refusal(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE)), "2.6", "2.7")


@criterion("Everything else passes unchanged, at once", task=2, points=3, rules=["2.8"])
def test_passes(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE, "a message", "the scope", "something")), "2.8")


@criterion("The app's exceptions propagate", task=2, points=2, rules=["2.9"])
def test_raises(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE, "it ")), "2.9")


@criterion(
    "Nothing else differs from the reference in random programs of requests",
    task=2,
    points=4,
    rules=["2.1", "2.2", "2.3", "2.4/app", "2.4/refusal", "2.5", "2.6", "2.7", "2.8", "2.9"],
)
def test_sweep_http(sweep):
    sweep(HttpSweep(), programs=150)
