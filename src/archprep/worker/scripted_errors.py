"""Errors that a probe raises because the judge said so, told apart from the candidate's own."""

from __future__ import annotations

import builtins
import traceback

from . import exceptions, scenario

_MARK = "_archprep_scripted"


def scripted_error(kind: str, text: str = "") -> Exception:
    """An error to raise: the built-in exception `kind`, or a new type of this name."""
    known = getattr(builtins, kind, None)
    if not isinstance(known, type) or not issubclass(known, Exception):
        known = type(kind, (Exception,), {})
    error: Exception = known(text)
    setattr(error, _MARK, True)
    return error


def is_scripted(error: BaseException) -> bool:
    """Whether the judge ordered this error, or all that are in this group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_scripted, error.exceptions))
    return getattr(error, _MARK, False)


def summarize(error: BaseException | None) -> str:
    """An error and the last place of the candidate's code that it came through; "" for None."""
    if error is None:
        return ""
    said = exceptions.text(error)
    where = [
        f" in {frame.f_code.co_name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(scenario.root)
    ]
    return f"{type(error).__name__}{f': {said}' if said else ''}{where[-1] if where else ''}"
