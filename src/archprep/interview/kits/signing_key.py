"""The key that signs kits: made on first use, readable by its owner alone."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from archprep.core.errors import UsageError
from archprep.core.files import write_atomically
from archprep.workspace import store

FILE_NAME = "kit.key"

_KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def load() -> bytes | None:
    """Return the key on this machine, or None if there is none."""
    path = _path()
    with _explained(path):
        return _read(path)


def load_or_create() -> bytes:
    """Return the key on this machine, made now if there is none."""
    path = _path()
    with _explained(path):
        if not path.exists():
            _create(path)
        key = _read(path)
    assert key is not None
    return key


def _path() -> Path:
    return store.home() / FILE_NAME


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # If two processes create it at the same time, the first one's key stays.
    with contextlib.suppress(FileExistsError):
        text = secrets.token_hex(_KEY_BYTES) + "\n"
        write_atomically(path, text, replace=False, mode=0o600)


def _read(path: Path) -> bytes | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    if not _HEX.fullmatch(text):
        raise UsageError(
            f"The key that signs kits, {path}, is damaged.",
            tip="Restore it from a backup. Or move it away: the next `archprep kit` makes a new "
            "one, but the signatures of earlier kits can then no longer be checked.",
        )
    return bytes.fromhex(text)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The key that signs kits, {path}, cannot be used: {error.strerror or error}.",
            tip="Make it readable and writable for yourself, or set ARCHPREP_HOME.",
        ) from error
