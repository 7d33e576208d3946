"""Files on this machine: where the package lies, what tools leave behind, atomic writes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # src/archprep, or where it is installed
_LITTER = frozenset(
    "__pycache__ __MACOSX .DS_Store .git .venv venv node_modules site-packages "
    "Thumbs.db desktop.ini".split()
)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name was left behind by a tool."""
    is_cache = name.startswith(".") and name.endswith("_cache")
    return name in _LITTER or is_cache or name.endswith(".pyc")


def write_atomically(
    path: Path, data: str | bytes, *, replace: bool = True, mode: int = 0o666
) -> None:
    """Write a file in full or not at all, even if this process is killed or the power fails.

    Text is written as UTF-8; a lone surrogate, which UTF-8 cannot hold, as its escape.
    Raises FileExistsError if `replace` is false and something has that name, OSError if the
    folder cannot be written to. `mode` is subject to the umask.
    """
    import secrets  # loads OpenSSL; `list` imports this module

    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    new = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.new")
    try:
        _write(new, content, mode)
        if replace:
            new.replace(path)
        else:
            _link(new, path)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _write(new: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _link(new: Path, path: Path) -> None:
    """Give the file its name unless that is taken; a rename would replace what has it."""
    try:
        path.hardlink_to(new)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first
        path.touch(exist_ok=False)
        new.replace(path)
