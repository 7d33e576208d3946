"""What may be submitted: limits, ignored names, and the error for breaking a rule."""

from __future__ import annotations

from archprep.core.errors import UsageError
from archprep.core.files import is_litter
from archprep.interview.model import CLOCK_FILE
from archprep.workspace import submission
from archprep.workspace.folder import MARKER

MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_ENTRIES = 20_000  # a virtual environment may be among them
MAX_WRITTEN = submission.MAX_ENTRIES  # files and folders
MAX_TOTAL_BYTES = 32 * 2**20  # unpacked
MAX_PATH = 255  # bytes
MAX_DEPTH = submission.MAX_DEPTH + 4  # folders

OUR_HIDDEN_FILES = frozenset({MARKER, CLOCK_FILE})


class RefusedError(UsageError):
    """A submission breaks a rule: a fault of its author, not of this machine."""


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is skipped, wherever it is."""
    return (name.startswith(".") and name not in OUR_HIDDEN_FILES) or is_litter(name)


def is_ignored_path(path: str) -> bool:
    """Whether a relative path, with `/` between folders, is skipped."""
    *folders, last = path.rstrip("/").split("/")
    return is_ignored(last) or any(name.startswith(".") or is_litter(name) for name in folders)
