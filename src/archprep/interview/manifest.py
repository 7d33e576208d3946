"""A kit's manifest: what a candidate was given, signed with a key that stays with the interviewer.

The signature keeps a candidate from giving themselves another name, more time or other exercises.
It says nothing about their machine: whatever `begin` and `submit` write there is only reported.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT, Kit
from archprep.workspace import store

NAME = "archprep-kit.json"
MOST_BYTES = 64 * 1024
LONGEST_NAME = 100
MOST_MINUTES = 100_000  # ten weeks
MOST_EXERCISES = 100
MOST_LIMIT = 10**12  # files or bytes
KEY = "kit.key"

_KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"q[1-9][0-9]{0,5}")
_FOLDER = re.compile(r"[a-z0-9_]{1,100}")


# ------------------------------------------------------------------ the key


def key(create: bool) -> bytes | None:  # noqa: FBT001 - as agreed with its callers
    """The key that signs kits here; None where there is none yet and none is to be made."""
    path = store.home() / KEY
    try:
        if create and not path.exists():
            _make_key(path)
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise UsageError(
            f"The key that signs kits, {path}, cannot be used: {error.strerror or error}.",
            tip="Give yourself the right to read and write it, or set ARCHPREP_HOME.",
        ) from error
    if not _HEX.fullmatch(text):
        raise UsageError(
            f"The key that signs kits, {path}, is damaged.",
            tip="Bring it back from a backup. Or move it away: the next `archprep kit` makes "
            "another, and earlier kits can no longer be told from forged ones.",
        )
    return bytes.fromhex(text)


def _make_key(path: Path) -> None:
    import secrets

    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{KEY}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two that begin at once, the second must not replace the first's.
        path.hardlink_to(new)
    except FileExistsError:
        pass
    finally:
        new.unlink(missing_ok=True)


# ------------------------------------------------------------------ the manifest


def dumps(kit: Kit, key: bytes) -> str:
    """The manifest as text: the kit, and its signature."""
    document = {"kit": asdict(kit), "signature": _sign(kit, key)}
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def loads(text: str) -> tuple[Kit, str]:
    """The kit and the signature it claims; UsageError for what is no manifest.

    The text may come from anybody. Every text of the kit is sanitized, every number and name is
    within bounds; a signature that is none is "", which is never genuine.
    """
    data = _parsed(text)
    _check_format(data["kit"].get("format"))
    kit = _checked(_converted(data["kit"]))
    signature = data.get("signature")
    return kit, sanitize(signature, 100) if isinstance(signature, str) else ""


def genuine(kit: Kit, signature: str, key: bytes) -> bool:
    """Whether the holder of `key` has signed exactly this kit."""
    import hmac

    return hmac.compare_digest(_sign(kit, key).encode(), signature.encode())


def read(path: Path) -> Kit:
    """The kit whose manifest `path` is, whoever signed it."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{sanitize(str(path), 300)} cannot be read: {error.strerror or error}.",
            tip="Take it from the kit's zip again.",
        ) from error
    return loads(data.decode("utf-8", errors="replace"))[0]


def instant(text: object) -> datetime | None:
    """The time that a text tells, if it has a zone and is of years that one can reckon with."""
    # Any letter passes between date and time, also one that moves a cursor.
    if not (isinstance(text, str) and text.isascii() and text.isprintable()):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo and 2000 <= found.year < 3000 else None


def _sign(kit: Kit, key: bytes) -> str:
    import hashlib
    import hmac

    canonical = json.dumps(asdict(kit), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise _no_manifest(f"it is larger than {MOST_BYTES // 1024} KiB")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_manifest("it is no JSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("kit"), dict):
        raise _no_manifest("it holds no `kit`")
    return data


def _check_format(found: object) -> None:
    if type(found) is not int or found < 1:
        raise _no_manifest("its `format` is no whole number from 1 on")
    if found > FORMAT:
        raise UsageError(
            f"{NAME} was made by a newer archprep: its format is {min(found, 10**6)}, "
            f"and this one reads {FORMAT}.",
            tip="Update archprep: pip install --upgrade archprep",
        )


def _converted(data: dict[str, Any]) -> Kit:
    import msgspec

    try:
        return msgspec.convert(data, Kit, strict=True)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise _no_manifest(sanitize(str(error), 200)) from error


def _checked(kit: Kit) -> Kit:
    """The kit with clean texts; what names files or counts is as `archprep kit` writes it."""
    names = [(e.id, e.folder) for e in kit.exercises]
    parts_differ = all(len(set(part)) == len(names) for part in zip(*names, strict=True))
    plain = all(
        _ID.fullmatch(e.id)
        and _FOLDER.fullmatch(e.folder)
        and 0 < e.version <= 10**9
        and _HEX.fullmatch(e.digest)
        for e in kit.exercises
    )
    if not (0 < len(names) <= MOST_EXERCISES and plain and parts_differ):
        raise _no_manifest("its `exercises` are not as archprep writes them")
    if not all(0 < limit <= MOST_LIMIT for limit in asdict(kit.limits).values()):
        raise _no_manifest("its `limits` are out of bounds")
    if not 0 < kit.minutes <= MOST_MINUTES:
        raise _no_manifest("its `minutes` are out of bounds")
    if instant(kit.made_at) is None:
        raise _no_manifest("its `made_at` is no time with a zone")
    if not (candidate := _line(kit.candidate, LONGEST_NAME)):
        raise _no_manifest("its `candidate` has no name")
    return replace(kit, candidate=candidate, archprep_version=_line(kit.archprep_version, 40))


def _line(text: str, limit: int) -> str:
    return " ".join(sanitize(text, limit).split())


def _no_manifest(why: str) -> UsageError:
    return UsageError(
        f"{NAME} is not the manifest of a kit: {why}.", tip="Take it from the kit's zip again."
    )
