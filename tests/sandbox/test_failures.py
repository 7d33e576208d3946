"""Failures of scenarios in words that the candidate understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archprep.core.model import Submission
from archprep.sandbox import failures


def claim(kind: str, message: str) -> dict[str, Any]:
    """A scenario's claim about an exception."""
    return {"phase": "probe", "type": kind, "message": message, "frames": []}


@pytest.mark.parametrize(
    ("kind", "message", "says"),
    [
        (
            "ImportError",
            "cannot import name 'Bus' from 'bus' (/submission/bus.py)",
            "ImportError: cannot import name 'Bus' from 'bus'",
        ),
        (
            "EOFError",
            "EOF when reading a line",
            (
                "EOFError: EOF when reading a line "
                "(input() is not available while your code is graded)"
            ),
        ),
        ("EOFError", "ran out", "EOFError: ran out"),
        ("KeyError", "", "KeyError"),
    ],
)
def test_an_exception_in_words(tmp_path: Path, kind: str, message: str, says: str) -> None:
    """Without paths of the sandbox, and with what Python does not say."""
    seen = failures.raised(claim(kind, message), Submission(tmp_path, "", ()))
    assert seen.message == says
