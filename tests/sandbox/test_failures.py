"""What became of a scenario, in words: they must be clear to whoever wrote the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archprep.core.model import Submission
from archprep.sandbox import failures


def claim(kind: str, message: str) -> dict[str, Any]:
    """What a scenario says of an exception."""
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
            "EOFError: EOF when reading a line (nobody answers input() while your code is graded)",
        ),
        ("EOFError", "ran out", "EOFError: ran out"),
        ("KeyError", "", "KeyError"),
    ],
)
def test_an_exception_in_words(tmp_path: Path, kind: str, message: str, says: str) -> None:
    """No path of the sandbox, and what Python leaves unsaid."""
    seen = failures.raised(claim(kind, message), Submission(tmp_path, "", ()))
    assert seen.message == says
