"""Remembers which isolation profiles passed the self-test since the last boot."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from archprep.core.files import PACKAGE, write_atomically
from archprep.sandbox import isolation
from archprep.sandbox.selftest_attempts import TestedProfile
from archprep.workspace import store


def recall(profile: isolation.Profile) -> TestedProfile | None:
    """Return the remembered result for a profile; None if it must be tested."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_path(profile).read_text())
        seccomp = base64.b64decode(kept["seccomp"])
        return TestedProfile(profile, kept["version"], seccomp, kept["results"])
    return None


def remember(tested: TestedProfile) -> None:
    """Store a result. If the folder cannot be written to, the next command tests again."""
    path = _path(tested.profile)
    kept = {
        "version": tested.version,
        "seccomp": base64.b64encode(tested.seccomp).decode(),
        "results": tested.results,
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept))


def _path(profile: isolation.Profile) -> Path:
    """One file per profile, kernel, boot, tool and version of this package's own code."""
    own = (path for name in ("sandbox", "worker") for path in (PACKAGE / name).glob("*.py"))
    sources = [Path(profile.tool), *sorted(own)]
    facts = [profile.level, profile.tool, isolation.kernel(), _boot_id()]
    facts += isolation.library_paths()
    facts += [f"{p}:{s.st_size}:{s.st_mtime_ns}" for p in sources for s in [p.stat()]]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    return store.cache_dir() / f"isolation-{digest}.json"


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"
