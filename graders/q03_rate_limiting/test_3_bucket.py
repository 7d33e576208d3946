"""Task 3: the token bucket."""

from __future__ import annotations

from archprep.grading import criterion, scenario

from . import server
from .limiter_programs import KEYS, LEFT, NUMBERS, VERDICT, LimiterSweep


@scenario(waits=True)
def bucket(candidate, rng):
    return server.play(candidate, rng, "TokenBucket")


@criterion("A bucket admits what it has tokens for", task=3, points=4, rules=["3.1", "3.2"])
def test_bucket(sweep, bucket):
    bucket.require("3.5", "stored")
    sweep.kept(LimiterSweep("bucket", [VERDICT]), "3.1", "3.2")


@criterion("The numbers of a bucket are exact", task=3, points=4, rules=["3.3", "3.4"])
def test_bucket_numbers(sweep, bucket):
    bucket.require("3.5", "stored")
    sweep.kept(LimiterSweep("bucket", NUMBERS), "3.3", "3.4")


@criterion("Processes share a bucket in atomic steps", task=3, points=3, rules=["3.5"])
def test_bucket_shared(sweep, bucket):
    bucket.require("3.5", "turns", "reset", *server.CROWDS)
    sweep.kept(LimiterSweep("bucket", [VERDICT]), "3.5")


@criterion("A key ends when its bucket is full", task=3, points=2, rules=["3.6"])
def test_bucket_keys(sweep, bucket):
    bucket.require("3.6", "keys", "anew")
    sweep.kept(LimiterSweep("bucket", [KEYS, LEFT]), "3.6")


@criterion(
    "Nothing else differs from the reference in random programs of buckets",
    task=3,
    points=2,
    rules=["3.1", "3.2", "3.3", "3.4", "3.5", "3.6"],
)
def test_sweep_bucket(sweep, bucket):
    bucket.require("3.5", "stored")
    sweep(LimiterSweep("bucket"), programs=30)
