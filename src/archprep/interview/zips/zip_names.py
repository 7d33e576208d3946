"""Which names the entries of a zip may have: each names one place, below the target folder."""

from __future__ import annotations

import re
import unicodedata

from archprep.core.sanitize import sanitize
from archprep.interview.submission_rules import MAX_DEPTH, MAX_PATH, MAX_WRITTEN

_DRIVE = re.compile(r"[A-Za-z]:")


def printable(name: str) -> str:
    """Return a name as it appears in a message."""
    return "".join(c if c.isprintable() else "?" for c in sanitize(name, 200))


def unsafe(name: str) -> str | None:
    """Say why a name may lead elsewhere or pass for another one; None if it does not."""
    parts = name.removesuffix("/").split("/")
    rules = (
        (not name.isprintable() or name != sanitize(name, len(name)), "has unusual characters"),
        (name.startswith("/"), "is an absolute path"),
        (_DRIVE.match(name), "starts with a drive letter"),
        (".." in parts, "points outside its folder"),
        ("" in parts or "." in parts, "is not a normalized path"),
    )
    return next((problem for broken, problem in rules if broken), None)


def too_long(name: str) -> str | None:
    """Say which limit a name exceeds, in bytes or in folders; None if it exceeds neither."""
    if len(name.encode()) > MAX_PATH:
        return f"has a path longer than {MAX_PATH} bytes"
    if name.count("/") > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} folders"
    return None


class TakenNames:
    """The names used so far, as a file system sees them that ignores case and accents."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, bool]] = {}

    def add(self, name: str, *, is_folder: bool) -> str | None:
        """Add a name and its parent folders; return the conflict, if there is one."""
        parts = name.rstrip("/").split("/")
        for depth in range(1, len(parts)):
            if problem := self._take("/".join(parts[:depth]), is_folder=True):
                return problem
        return self._take("/".join(parts), is_folder=is_folder)

    def _take(self, name: str, *, is_folder: bool) -> str | None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
        earlier, was_folder = self._taken.setdefault(folded, (name, is_folder))
        if earlier != name:
            return f"differs from {printable(earlier)} only in case or accents"
        if is_folder != was_folder:
            return "is both a file and a folder"
        if len(self._taken) > MAX_WRITTEN:
            return f"exceeds the limit of {MAX_WRITTEN:,} files and folders"
        return None
