"""A kit's manifest: what a candidate was given, signed with a key that stays with the interviewer.

The signature keeps candidates from giving themselves another name, more time or other exercises.
It says nothing about their machine: what `begin` and `submit` write there is only reported.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT, Kit
from archprep.interview.text import one_line, shown

NAME = "archprep-kit.json"
MAX_BYTES = 64 * 1024
MAX_NAME = 100  # characters of a candidate's name
MAX_MINUTES = 100_000  # ten weeks
MAX_EXERCISES = 100
MAX_TASKS = 20
MAX_LIMIT = 10**12  # files or bytes

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"q[1-9][0-9]{0,5}")
_FOLDER = re.compile(r"[a-z0-9_]{1,100}")
_KIT_ID = re.compile(r"[0-9a-f]{0,64}")
_PYTHON = re.compile(r"(3\.[1-9][0-9]?)?")
_SINCE_ADDED = ("id", "python")  # signed only in kits that have them


def dumps(kit: Kit, key: bytes) -> str:
    """Return the manifest as text: the kit and its signature."""
    document = {"kit": asdict(kit), "signature": _sign(kit, key)}
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def loads(text: str) -> tuple[Kit, str]:
    """Return the kit and the signature it claims; UsageError if `text` is not a manifest.

    The text may come from anyone. All text in the kit is sanitized, all numbers and names are
    within bounds. A signature that is not a string becomes "", which is never genuine; so does
    that of a kit from which something was removed, since no kit is signed like that.
    """
    data = _parsed(text)
    _check_format(data["kit"].get("format"))
    found = _converted(data["kit"])
    kit, signature = _checked(found), data.get("signature")
    if kit != found or not isinstance(signature, str):
        return kit, ""
    return kit, sanitize(signature, 100)


def genuine(kit: Kit, signature: str, key: bytes) -> bool:
    """Whether the owner of `key` signed exactly this kit."""
    import hmac

    return hmac.compare_digest(_sign(kit, key).encode(), signature.encode())


def identity(kit: Kit, signature: str) -> str:
    """What no other kit has: its id, or its signature if it was made before kits had ids."""
    return kit.id or signature


def read(path: Path) -> Kit:
    """Return the kit of a manifest file, without checking its signature."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
            tip="Restore it from the kit's zip.",
        ) from error
    return loads(data.decode("utf-8", errors="replace"))[0]


def instant(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC; None without a time zone, or before 2000 or from 3000 on."""
    # fromisoformat takes any character between date and time, even one that moves a cursor.
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

    fields = {k: v for k, v in asdict(kit).items() if v or k not in _SINCE_ADDED}
    for exercise in fields["exercises"]:
        if not exercise["tasks"]:
            del exercise["tasks"]  # as in kits made before tasks could be selected
    canonical = json.dumps(fields, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise _invalid(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid("it is not valid JSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("kit"), dict):
        raise _invalid("it has no `kit`")
    return data


def _check_format(found: object) -> None:
    if type(found) is not int or found < 1:
        raise _invalid("its `format` is not a positive integer")
    if found > FORMAT:
        raise UsageError(
            f"{NAME} was made by a newer archprep: its format is {min(found, 10**6)}, "
            f"and this one reads up to {FORMAT}.",
            tip="Upgrade archprep: pip install --upgrade archprep",
        )


def _converted(data: dict[str, Any]) -> Kit:
    import msgspec

    try:
        return msgspec.convert(data, Kit, strict=True)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise _invalid(sanitize(str(error), 200)) from error


def _checked(kit: Kit) -> Kit:
    """The kit with sanitized text; names and numbers must be as `archprep kit` writes them."""
    names = [(e.id, e.folder) for e in kit.exercises]
    are_unique = all(len(set(column)) == len(names) for column in zip(*names, strict=True))
    are_plain = all(
        _ID.fullmatch(e.id)
        and _FOLDER.fullmatch(e.folder)
        and 0 < e.version <= 10**9
        and _SHA256.fullmatch(e.digest)
        and all(0 < task <= MAX_TASKS for task in e.tasks)
        and len(e.tasks) <= MAX_TASKS
        for e in kit.exercises
    )
    if not (0 < len(names) <= MAX_EXERCISES and are_plain and are_unique):
        raise _invalid("its `exercises` are not as archprep writes them")
    if not all(0 < limit <= MAX_LIMIT for limit in asdict(kit.limits).values()):
        raise _invalid("its `limits` are out of bounds")
    if not 0 < kit.minutes <= MAX_MINUTES:
        raise _invalid("its `minutes` are out of bounds")
    if not (_KIT_ID.fullmatch(kit.id) and _PYTHON.fullmatch(kit.python)):
        raise _invalid("its `id` or `python` is not as archprep writes it")
    if instant(kit.made_at) is None:
        raise _invalid("its `made_at` is not a time with a time zone")
    if not (candidate := one_line(kit.candidate, MAX_NAME)):
        raise _invalid("its `candidate` is empty")
    version = one_line(kit.archprep_version, 40)
    return replace(kit, candidate=candidate, archprep_version=version)


def _invalid(why: str) -> UsageError:
    return UsageError(
        f"{NAME} is not the manifest of a kit: {why}.", tip="Restore it from the kit's zip."
    )
