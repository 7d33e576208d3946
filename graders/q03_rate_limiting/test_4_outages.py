"""Task 4: tiers, and limiters that do not decide."""

from __future__ import annotations

from archprep.grading import criterion

from .http_programs import HttpSweep
from .kept import play_kept
from .test_2_http import APP, ASKED, FIELDS, RESPONSE


@criterion("Each tier has its policies, or no limit", task=4, points=4, rules=["4.1", "4.2"])
def test_tiers(sweep):
    play_kept(sweep, HttpSweep(("the limiter is asked for", *APP, *FIELDS)), "4.1", "4.2")


@criterion("Open lets the app answer, closed says 503", task=4, points=4, rules=["4.4", "4.5"])
def test_undecided(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE, *FIELDS, *ASKED, "it ")), "4.4", "4.5")


@criterion("A slow hit is cancelled, and not waited for", task=4, points=4, rules=["4.3"])
def test_slow(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE, *FIELDS, *ASKED, "the hit", "the middle")), "4.3")


@criterion("Only the hit has a time limit", task=4, points=2, rules=["4.6"])
def test_hit_alone(sweep):
    play_kept(sweep, HttpSweep((*APP, *RESPONSE, *FIELDS, *ASKED)), "4.6")


@criterion(
    "Nothing else differs from the reference in random programs of tiers and outages",
    task=4,
    points=3,
    rules=["4.1", "4.2", "4.3", "4.4", "4.5", "4.6"],
)
def test_sweep_outages(sweep):
    sweep(HttpSweep(), programs=150)
