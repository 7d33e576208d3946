"""Lateness is computed, and says whose clock it comes from."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from interview.submissions.inbox import NOW, kit, only, report, zipped

from archprep.interview.model import CLOCK_FILE, REPORT_FILE


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("times", "flags"),
    [
        ({"begun_at": ago(50), "submitted_at": ago(0)}, []),
        ({"begun_at": ago(250), "submitted_at": ago(130)}, []),
        (
            {"begun_at": ago(250), "submitted_at": ago(118)},
            ["late by 12 min (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(250), "submitted_at": ago(129.9)},
            ["late by 1 min (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(250)},
            ["late by 130 min (by time of receipt; start reported by the candidate)"],
        ),
        ({}, ["late by at most 180 min (by time of receipt; start not reported)"]),
        (
            {"begun_at": ago(400), "submitted_at": ago(300)},
            ["begun before the kit was made (reported by the candidate)"],
        ),
        (
            {"begun_at": ago(-30), "submitted_at": ago(-20)},
            [
                "submitted after it was received (reported by the candidate)",
                "submitted before it was begun (reported by the candidate)",
            ],
        ),
    ],
)
def test_lateness_says_whose_clock_it_comes_from(inbox, tmp_path, times, flags) -> None:
    """The kit lasts 120 minutes and was made 300 minutes before it was received."""
    folder = kit(tmp_path, made=NOW - timedelta(minutes=300))
    report(folder, **times)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert list(one.flags) == flags
    assert one.reported == {k: v.replace("Z", "+00:00") for k, v in times.items()}


def test_an_early_receipt_is_in_time_without_a_report(inbox, tmp_path) -> None:
    """Received before the time since the kit was made was up."""
    zipped(kit(tmp_path, made=NOW - timedelta(minutes=119)), inbox / "x.zip")
    assert only(inbox).flags == ()


def test_the_clock_of_begin_counts_in_a_folder_zipped_by_hand(inbox, tmp_path) -> None:
    """Even though `submit` was not run."""
    folder = kit(tmp_path, made=NOW - timedelta(minutes=300))
    (folder / CLOCK_FILE).write_text(json.dumps({"begun_at": ago(130)}))
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (
        "late by 10 min (by time of receipt; start reported by the candidate)",
    )


def test_files_changed_after_submit_are_flagged(inbox, tmp_path) -> None:
    """Also missing ones; the first few are named."""
    folder = kit(tmp_path)
    sums = {f"q01_event_bus/{n}": "0" * 64 for n in ("answer.py", "b.py", "c.py", "d.py")}
    report(folder, begun_at=ago(50), submitted_at=ago(0), files=sums)
    zipped(folder, inbox / "x.zip")
    assert only(inbox).flags == (
        (
            "changed after `archprep submit`: q01_event_bus/answer.py, q01_event_bus/b.py, "
            "q01_event_bus/c.py and 1 more"
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"files": 1, "edited": [], "begun_at": {}, "submitted_at": 1e999}',
        '{"begun_at": "9999-12-31T23:59:59-23:59", "submitted_at": "0001-01-01T00:00:00+23:59"}',
        '{"begun_at": "2026-01-01T00:00:00"}',
        '{"begun_at": "' + "9" * 5000 + '"}',
        '{"begun_at": ' + "9" * 5000 + "}",
        '{"files": {"a": 1, "b": null, "c": ["x"]}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "\x00\xff",
        "x" * 600_000,
    ],
)
def test_an_invalid_report_is_ignored(inbox, tmp_path, text) -> None:
    """The candidate may have written anything; what cannot be read is as good as missing."""
    folder = kit(tmp_path)
    (folder / REPORT_FILE).write_text(text)
    zipped(folder, inbox / "x.zip")
    one = only(inbox)
    assert (one.problem, one.flags, one.reported) == (None, (), {})
