"""Compares what the candidate's machine reports with what this machine knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archprep.interview.kits import manifest
from archprep.interview.model import CLOCK_FILE, REPORT_FILE, Kit
from archprep.interview.submissions.entry import Entry
from archprep.interview.submissions.untrusted_files import read_json
from archprep.interview.text import minutes, one_line

CLOCK_SKEW = timedelta(minutes=5)  # that honest clocks may differ by

_MAX_FILES = 1000
_MAX_REPORT_BYTES = 512 * 1024
_MAX_CLOCK_BYTES = 4096


@dataclass
class ReportedTimes:
    """The times and files that a submitted kit reports."""

    top: Path
    kit: Kit
    entry: Entry

    def add_flags(self, hashes: dict[str, str]) -> None:
        """Flag what is late or contradictory; `hashes` are of the files as received."""
        report = read_json(self.top / REPORT_FILE, _MAX_REPORT_BYTES)
        clock = read_json(self.top / CLOCK_FILE, _MAX_CLOCK_BYTES)
        begun = manifest.instant(report.get("begun_at")) or manifest.instant(clock.get("begun_at"))
        submitted = manifest.instant(report.get("submitted_at"))
        if submitted and submitted <= datetime.now(UTC) + CLOCK_SKEW:
            self.entry.submitted = submitted
        self.entry.reported = _kept(report, begun, submitted)
        self.entry.flags += self._late(begun, submitted)
        self.entry.flags += self._contradictions(begun, submitted)
        self.entry.flags += _changed(self.entry.reported.get("files", {}), hashes)

    def _late(self, begun: datetime | None, submitted: datetime | None) -> Iterator[str]:
        """Minutes over the limit as reported; without a report, the most that is possible."""
        allowed = timedelta(minutes=self.kit.minutes)
        received = self.entry.at
        if begun and (over := minutes((submitted or received) - begun - allowed)) > 0:
            source = "" if submitted else "by time of receipt; start "
            yield f"late by {over:,} min ({source}reported by the candidate)"
        made = manifest.instant(self.kit.made_at)
        if not begun and made and (over := minutes(received - made - allowed)) > 0:
            yield f"late by at most {over:,} min (by time of receipt; start not reported)"

    def _contradictions(self, begun: datetime | None, submitted: datetime | None) -> Iterator[str]:
        made = manifest.instant(self.kit.made_at)
        if begun and made and begun < made - CLOCK_SKEW:
            yield "begun before the kit was made (reported by the candidate)"
        if submitted and submitted > self.entry.at + CLOCK_SKEW:
            yield "submitted after it was received (reported by the candidate)"
        if begun and submitted and submitted < begun:
            yield "submitted before it was begun (reported by the candidate)"


def _kept(
    report: dict[str, Any], begun: datetime | None, submitted: datetime | None
) -> dict[str, Any]:
    """What of the report is kept for the interviewer, sanitized."""
    times = {"begun_at": begun, "submitted_at": submitted}
    kept: dict[str, Any] = {k: v.isoformat(timespec="seconds") for k, v in times.items() if v}
    for key in ("files", "edited"):
        if texts := _texts(report.get(key)):
            kept[key] = texts
    return kept


def _texts(value: object) -> dict[str, str]:
    """A mapping of strings to strings, sanitized and of bounded size."""
    items = list(value.items())[:_MAX_FILES] if isinstance(value, dict) else []
    return {one_line(k, 300): one_line(v, 100) for k, v in items if isinstance(v, str)}


def _changed(reported: dict[str, str], hashes: dict[str, str]) -> Iterator[str]:
    """Flag files that differ from what `archprep submit` recorded."""
    names = [name for name, digest in reported.items() if hashes.get(name) != digest]
    if names:
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        yield f"changed after `archprep submit`: {', '.join(names[:3])}{more}"
