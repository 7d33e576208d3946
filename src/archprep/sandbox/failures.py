"""Explains a scenario that gave no answer, from what it sent and how it ended.

What it sent is a claim: texts are sanitized, and a stack frame counts only if it points into the
frozen files, from which its source line is read.
"""

from __future__ import annotations

import re
import signal
from typing import Any

from archprep.core.errors import CandidateError
from archprep.core.model import GRADED_WITH, Frame, Reason, Submission
from archprep.core.sanitize import sanitize

MAX_FRAMES = 12
_DUMP = b"Timeout (0:"  # how a stack dump of the worker's faulthandler begins

_IMPORTED_FROM = re.compile(r" \(/\S+\.py\)$")
_DUMPS = re.compile(rb"Timeout \(0:.*\n(?:(?:Thread |  File |  \.\.\.|\n).*\n?)*")
_DUMPED = re.compile(r'^  File "(.+)", line ([0-9]{1,7}) in (.+)$', re.MULTILINE)

# In the message about an import that did not finish: the machine may be slow.
IMPORT_TIMEOUT = "(time-out)"


def raised(claim: dict[str, Any], submission: Submission) -> CandidateError:
    """The exception that the scenario reported."""
    try:
        return _described(claim, submission)
    except (KeyError, TypeError, ValueError, AttributeError):
        return CandidateError(Reason.PROTOCOL, "reported an exception in an invalid form")


def timed_out(seconds: float, *, imported: bool) -> CandidateError:
    """Its time was up before it had finished."""
    if not imported:
        text = f"importing the module had not finished after {seconds:g} s {IMPORT_TIMEOUT}"
        return CandidateError(Reason.IMPORT, text)
    return CandidateError(Reason.TIMEOUT, f"the scenario had not finished after {seconds:g} s")


def ended_early(status: int | None, *, imported: bool) -> CandidateError:
    """It ended, or closed its channel (`status` None), without an answer."""
    where = "before it answered" if imported else "while the module was imported"
    if status is None:
        text = f"the process closed its connection to the judge {where}"
    elif name := _signal_name(status):
        text = f"the process was killed by {name} {where}"
    else:
        text = f"the process ended itself with exit status {status} {where}"
    return CandidateError(Reason.CRASH, text)


def broke_while_dumping(status: int | None, log: bytes) -> bool:
    """Whether reading the stack of running code ended the process: its time was nearly up."""
    return status is not None and _signal_name(status) == "SIGSEGV" and _DUMP in log


def stuck_at(log: bytes, root: str, submission: Submission) -> tuple[Frame, ...]:
    """Where the code was shortly before its time was up, from the last stack dump in its log."""
    _, found, dump = log.rpartition(_DUMP)
    lines = _DUMPED.findall(dump.decode(errors="replace")) if found else []
    inside = [
        (file.removeprefix(f"{root}/"), int(line), function)
        for file, line, function in lines
        if file.startswith(root)
    ]
    return _frames(list(reversed(inside[:MAX_FRAMES])), submission)


def without_dumps(log: bytes) -> bytes:
    """What the candidate's code printed, without the stack dumps in between."""
    return _DUMPS.sub(b"", log)


def _signal_name(status: int) -> str | None:
    """The signal behind a status: -11 from the kernel, 139 from the scenario's init."""
    try:
        return signal.Signals(-status if status < 0 else status - 128).name
    except ValueError:
        return None


def _described(claim: dict[str, Any], submission: Submission) -> CandidateError:
    kind, message = sanitize(claim["type"], 100), sanitize(claim["message"], 2000)
    located = [*claim["frames"], *([[*claim["syntax"], ""]] if "syntax" in claim else [])]
    frames = _frames(located[-MAX_FRAMES:], submission)
    reason = Reason.IMPORT if claim["phase"] == "import" else Reason.CRASH
    if kind == "MemoryError":
        reason = Reason.MEMORY
    if kind == "ImportError":
        message = _IMPORTED_FROM.sub("", message)  # a path in the sandbox means nothing outside
    if kind == "EOFError" and message.startswith("EOF when reading a line"):
        message += " (input() is not available while your code is graded)"
    if kind == "BdbQuit":
        message = "breakpoint() and pdb are not available while your code is graded"
    if "syntax" in claim:
        message += f" (graded with Python {GRADED_WITH})"
    if "null bytes" in message:  # Python names neither the file nor what is wrong with it
        message += _not_utf8(submission)
    text = f"{kind}: {message}" if message else kind
    return CandidateError(reason, text, exception=kind, frames=frames)


def _not_utf8(submission: Submission) -> str:
    """Which files are no text in UTF-8, as UTF-16 of an editor on Windows."""
    paths = [file.path for file in submission.files if file.path.endswith(".py")]
    found = [path for path in paths if b"\0" in (submission.root / path).read_bytes()]
    named = " and ".join(found)
    return f" ({named}: not UTF-8; save it as UTF-8)" if found else ""


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
    if not 0 <= line <= len(lines) + 1:  # a syntax error may be reported after the last line
        return None
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return Frame(file, line, sanitize(function, 80), sanitize(text.strip(), 160))
