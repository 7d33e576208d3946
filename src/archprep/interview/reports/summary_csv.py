"""Makes `summary.csv`: a table for spreadsheets, in which no cell is a formula."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archprep.core.model import percent
from archprep.core.sanitize import sanitize
from archprep.interview.model import Result
from archprep.interview.reports.evidence import problems
from archprep.interview.reports.statistics import exercises

_FIRST = ["candidate", "folder", "received_at"]
_LAST = ["total", "max", "percent", "flags", "problems", "superseded", "source", "sha256"]
# What starts a formula. A spreadsheet may take ";" for the end of a cell.
_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def table(results: Sequence[Result]) -> str:
    """Return a header and one line for each candidate."""
    import csv
    import io

    names = exercises(results)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_FIRST, *(cell(name) for name in names), *_LAST])
    writer.writerows(_cells(result, names) for result in results)
    return file.getvalue()


def cell(text: str, limit: int = 2000) -> str:
    """Return the text on one line, with an apostrophe before what would start a formula."""
    return _FORMULA.sub(r"\1'\2", re.sub(r"\s+", " ", sanitize(text, limit)))


def _cells(result: Result, names: Sequence[str]) -> list[str | int]:
    received = result.received
    scores = {g.exercise: g.scorecard.score for g in result.graded if g.scorecard}
    texts = [
        " | ".join(received.flags),
        " | ".join(problems(result)),
        " | ".join(received.superseded),
        received.source,
        received.digest,
    ]
    return [
        *(cell(text) for text in (received.name, received.slug, received.received_at)),
        *(scores.get(name, "") for name in names),
        result.score if scores else "",
        result.max_score if result.graded else "",
        percent(result.score, result.max_score) if scores else "",
        *(cell(text) for text in texts),
    ]
