"""The scorecard as terminal output, JSON and HTML.

Every string that may come from a candidate is sanitized again here, whatever was done before.
Importing this package is cheap: the functions that use rich, jinja2 and msgspec import them.
"""

from __future__ import annotations

from archprep.report.html import to_html
from archprep.report.json_format import dumps, from_json, loads, to_json
from archprep.report.terminal import print_brief, print_scorecard

__all__ = ["dumps", "from_json", "loads", "print_brief", "print_scorecard", "to_html", "to_json"]
