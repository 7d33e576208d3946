"""Describes an exception as plain data: type, message, the candidate's own stack frames."""

from __future__ import annotations

import os
import traceback
from typing import Any

MAX_TEXT = 20_000  # of an exception's message; the judge cuts and cleans again
MAX_NAME = 200
MAX_FRAMES = 12


def describe(error: BaseException, submission: str) -> dict[str, Any]:
    """Describe an exception as plain data; file names are relative to `submission`."""
    described: dict[str, Any] = {
        "type": type(error).__name__[:MAX_NAME],
        "message": text(error),
        "frames": frames(error, submission),
    }
    if isinstance(error, SyntaxError):
        described["syntax"] = [relative(error.filename or "", submission), error.lineno or 0]
        described["message"] = str(error.msg)[:MAX_TEXT]
    return described


def text(error: BaseException) -> str:
    """Return its message, whatever its own __str__ does."""
    try:
        # A lone surrogate would make the whole frame invalid and hide the message.
        return str(error)[:MAX_TEXT].encode(errors="replace").decode()
    except BaseException:  # noqa: BLE001 - the candidate's own __str__
        return "(its message cannot be shown: its __str__ raises)"


def frames(error: BaseException, submission: str) -> list[list[Any]]:
    """Return file, line and function of each of the candidate's own frames, the nearest last."""
    own = [
        [relative(frame.f_code.co_filename, submission), line, frame.f_code.co_name[:MAX_NAME]]
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(submission)
    ]
    return own[-MAX_FRAMES:]


def relative(path: str, submission: str) -> str:
    """Name a file as its author knows it."""
    inside = path.startswith(submission)
    return os.path.relpath(path, submission) if inside else os.path.basename(path)
