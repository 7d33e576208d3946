"""Errors that a probe raises on the judge's orders, distinguishable from the candidate's own."""

from __future__ import annotations

import builtins
import traceback

from . import exceptions, scenario

_MARK = "_archprep_scripted"


def error_named(kind: str, text: str = "") -> Exception:
    """An error to raise: the built-in exception `kind`, or a new type of this name."""
    known = getattr(builtins, kind, None)
    if not isinstance(known, type) or not issubclass(known, Exception):
        known = type(kind, (Exception,), {})
    error: Exception = known(*([text] if text else []))
    return error


def scripted_error(kind: str, text: str = "") -> Exception:
    """The same error with a mark, by which `is_scripted` recognises it anywhere."""
    error = error_named(kind, text)
    setattr(error, _MARK, True)
    return error


def is_scripted(error: BaseException) -> bool:
    """Whether this error, or every error of this group, was made by `scripted_error`."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_scripted, error.exceptions))
    return getattr(error, _MARK, False)


def summarize(error: BaseException | None) -> str:
    """Describe an error with the last line of the candidate's code in it; "" for None."""
    if error is None:
        return ""
    said = exceptions.text(error)
    where = [
        f" in {frame.f_code.co_name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(scenario.root)
    ]
    return f"{type(error).__name__}{f': {said}' if said else ''}{where[-1] if where else ''}"
