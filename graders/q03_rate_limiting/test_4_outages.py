"""Task 4: tiers, and limiters that do not decide."""

from __future__ import annotations

from archprep.grading import criterion

from .http_programs import HttpSweep
from .test_2_http import ABOUT, APP, ASKED, BODY, FIELDS, PROBLEM, STARTS


@criterion("Each tier has its policies, or no limit", task=4, points=4, rules=["4.1", "4.2"])
def test_tiers(sweep):
    sweep.kept(HttpSweep((ASKED, APP), timed=False), "4.1")
    sweep.kept(HttpSweep((ASKED, APP, STARTS, FIELDS), timed=False), "4.2")


@criterion("Open lets the app answer, closed says 503", task=4, points=4, rules=["4.4", "4.5"])
def test_undecided(sweep):
    shown = (ASKED, APP, STARTS, BODY, FIELDS, *PROBLEM, "it ")
    sweep.kept(HttpSweep(shown, timed=False), "4.4", "4.5")


@criterion("A slow hit is cancelled, and not waited for", task=4, points=4, rules=["4.3"])
def test_slow(sweep):
    sweep.kept(HttpSweep((ASKED, APP, STARTS, "the hit", "the middleware")), "4.3")


@criterion("Only the hit has a time limit", task=4, points=2, rules=["4.6"])
def test_hit_alone(sweep):
    sweep.kept(HttpSweep((ABOUT, APP, BODY)), "4.6")


@criterion(
    "Nothing else differs from the reference in random programs of tiers and outages",
    task=4,
    points=3,
    rules=["4.1", "4.2", "4.3", "4.4", "4.5", "4.6"],
)
def test_sweep_outages(sweep):
    sweep(HttpSweep(), programs=150)
