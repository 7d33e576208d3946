"""Traces of the reference on disk: right or absent, never wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from archprep.grading.toolkit.sweep_cache import FILE, TraceCache
from archprep.grading.toolkit.sweep_spec import Trace


def trace(number: int) -> Trace:
    return Trace([((float(number),), f"moment {number}")], ["a tie"])


def test_a_trace_comes_back_for_its_program_and_basis_alone(tmp_path: Path):
    """Another version of the exercise, the probes or the reference has another basis."""
    cache, other = TraceCache(tmp_path, ["q1", 1]), TraceCache(tmp_path, ["q1", 2])
    keys = [cache.key({"n": n}) for n in range(3)]
    cache.write({keys[0]: trace(0), keys[1]: trace(1)})
    assert TraceCache(tmp_path, ["q1", 1]).read(keys) == {keys[0]: trace(0), keys[1]: trace(1)}
    assert other.read([other.key({"n": 0})]) == {}


def test_the_oldest_traces_make_room(tmp_path: Path):
    cache = TraceCache(tmp_path, [], most=5)
    keys = [cache.key({"n": n}) for n in range(8)]
    for number, key in enumerate(keys):
        cache.write({key: trace(number)})
    assert list(cache.read(keys)) == keys[3:]


def test_a_damaged_cache_is_made_anew(tmp_path: Path):
    """It only saves time: nothing fails for want of it."""
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    cache = TraceCache(tmp_path, [])
    key = cache.key({})
    assert cache.read([key]) == {}
    cache.write({key: trace(1)})
    assert cache.read([key]) == {key: trace(1)}


def test_a_damaged_trace_is_played_again(tmp_path: Path):
    cache = TraceCache(tmp_path, [])
    key = cache.key({})
    cache.write({key: trace(1)})
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE trace SET packed = ?", [b"?"])
    assert cache.read([key]) == {}


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    (tmp_path / "file").write_text("")
    cache = TraceCache(tmp_path / "file", [])
    cache.write({cache.key({}): trace(1)})
    assert cache.read([cache.key({})]) == {}
