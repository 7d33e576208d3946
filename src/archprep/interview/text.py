"""Text for messages and fields that may come from a candidate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from archprep.core.sanitize import sanitize


def shown(path: Path) -> str:
    """Return a path as it appears in a message."""
    return sanitize(str(path), 300)


def minutes(span: timedelta) -> int:
    """Return a span in minutes as candidate and interviewer see it: rounded up."""
    return -(-int(span.total_seconds()) // 60)


def one_line(text: str, limit: int) -> str:
    """Return the sanitized text on one line, each run of whitespace as one space."""
    return " ".join(sanitize(text, limit).split())
