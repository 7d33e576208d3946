"""What became of a scenario that gave no answer, told from what it said and how it ended.

All that it said is a claim: texts are cleaned, and a frame counts only if it points into the
frozen files, from which its source line is read.
"""

from __future__ import annotations

import re
import signal
from typing import Any

from archprep.core.errors import CandidateError
from archprep.core.model import Frame, Reason, Submission
from archprep.core.sanitize import sanitize

MOST_FRAMES = 12
STUCK = b"Timeout (0:"  # faulthandler writes it in the worker just before the time is up

_IMPORTED_FROM = re.compile(r" \(/\S+\.py\)$")
_DUMPED = re.compile(r'^  File "(.+)", line ([0-9]{1,7}) in (.+)$', re.MULTILINE)

# In a message that says that an import was still going on: it may be the machine that is slow.
IMPORT_LATE = "(time-out)"


def raised(claim: dict[str, Any], submission: Submission) -> CandidateError:
    """The exception that the scenario reports."""
    try:
        return _described(claim, submission)
    except (KeyError, TypeError, ValueError, AttributeError):
        return CandidateError(
            Reason.PROTOCOL, "reported an exception in a form that makes no sense"
        )


def too_long(seconds: float, *, imported: bool) -> CandidateError:
    """It was still at work when its time was up."""
    if not imported:
        text = f"importing the module had not finished after {seconds:g} s {IMPORT_LATE}"
        return CandidateError(Reason.IMPORT, text)
    return CandidateError(Reason.TIMEOUT, f"the scenario had not finished after {seconds:g} s")


def ended_early(status: int | None, *, imported: bool) -> CandidateError:
    """It ended, or hung up (`status` None), without an answer."""
    where = "before it answered" if imported else "while the module was imported"
    if status is None:
        text = f"the process closed its connection to the judge {where}"
    elif name := _signal_name(status):
        text = f"the process was killed by {name} {where}"
    else:
        text = f"the process ended itself with exit status {status} {where}"
    return CandidateError(Reason.CRASH, text)


def stuck_at(log: bytes, root: str, submission: Submission) -> tuple[Frame, ...]:
    """Where the code was shortly before its time was up, from its own dump on the log."""
    _, found, dump = log.rpartition(STUCK)
    lines = _DUMPED.findall(dump.decode(errors="replace")) if found else []
    inside = [
        (file.removeprefix(f"{root}/"), int(line), function)
        for file, line, function in lines
        if file.startswith(root)
    ]
    return _frames(list(reversed(inside[:MOST_FRAMES])), submission)


def _signal_name(status: int) -> str | None:
    """The signal behind a status: -11 from the kernel, 139 from the scenario's init."""
    try:
        return signal.Signals(-status if status < 0 else status - 128).name
    except ValueError:
        return None


def _described(claim: dict[str, Any], submission: Submission) -> CandidateError:
    kind, message = sanitize(claim["type"], 100), sanitize(claim["message"], 2000)
    located = [*claim["frames"], *([[*claim["syntax"], ""]] if "syntax" in claim else [])]
    frames = _frames(located[-MOST_FRAMES:], submission)
    reason = Reason.IMPORT if claim["phase"] == "import" else Reason.CRASH
    if kind == "MemoryError":
        reason = Reason.MEMORY
    if kind == "ImportError":
        message = _IMPORTED_FROM.sub("", message)  # a path in the sandbox, which is nobody's
    if kind == "EOFError" and message.startswith("EOF when reading a line"):
        message += " (nobody answers input() while your code is graded)"
    text = f"{kind}: {message}" if message else kind
    return CandidateError(reason, text, exception=kind, frames=frames)


def _frames(located: list[Any], submission: Submission) -> tuple[Frame, ...]:
    known = {file.path for file in submission.files}
    found = (_frame(*entry, known=known, submission=submission) for entry in located)
    return tuple(frame for frame in found if frame is not None)


def _frame(
    file: str, line: int, function: str, *, known: set[str], submission: Submission
) -> Frame | None:
    if file not in known or not isinstance(line, int):
        return None
    lines = (submission.root / file).read_text(errors="replace").splitlines()
    if not 0 <= line <= len(lines) + 1:  # a syntax error may lie behind the last line
        return None
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return Frame(file, line, sanitize(function, 80), sanitize(text.strip(), 160))
