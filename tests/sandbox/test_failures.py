"""Failures of scenarios in words that the candidate understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archprep.core.model import GRADED_WITH, Submission, SubmittedFile
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
        (
            "BdbQuit",
            "",
            "BdbQuit: breakpoint() and pdb are not available while your code is graded",
        ),
        ("KeyError", "", "KeyError"),
    ],
)
def test_an_exception_in_words(tmp_path: Path, kind: str, message: str, says: str) -> None:
    """Without paths of the sandbox, and with what Python does not say."""
    seen = failures.raised(claim(kind, message), Submission(tmp_path, "", ()))
    assert seen.message == says


def test_a_syntax_error_names_the_python_that_graded(tmp_path: Path) -> None:
    """The candidate's own may know more syntax."""
    error = {**claim("SyntaxError", "invalid syntax"), "syntax": ["answer.py", 3]}
    seen = failures.raised(error, Submission(tmp_path, "", ()))
    assert seen.message == f"SyntaxError: invalid syntax (graded with Python {GRADED_WITH})"


def test_a_file_that_is_no_text_in_utf8_is_named(tmp_path: Path) -> None:
    """Editors on Windows save UTF-16; Python says neither which file nor why."""
    (tmp_path / "answer.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("X = 1\n", encoding="utf-16")
    files = tuple(SubmittedFile(name, "", 0) for name in ("answer.py", "helper.py"))
    error = claim("SyntaxError", "source code string cannot contain null bytes")
    seen = failures.raised(error, Submission(tmp_path, "", files))
    assert seen.message.endswith("null bytes (helper.py: not UTF-8; save it as UTF-8)")
