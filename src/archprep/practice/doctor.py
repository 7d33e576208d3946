"""`archprep doctor`: checks this machine, and names the command that fixes each problem."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archprep import __version__
from archprep.content import catalog
from archprep.core.errors import ArchprepError
from archprep.sandbox import isolation, processes, selftest
from archprep.sandbox.selftest_attempts import BLOCKED
from archprep.sandbox.services import airflow_home, airflow_installation, redis_server
from archprep.workspace import store

if TYPE_CHECKING:
    from rich.console import Console

OLDEST = (3, 11)
FREE_MB = 200
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
LIBRARIES = ("typer", "rich", "pytest", "jinja2", "pyyaml", "msgspec", "psutil", "platformdirs")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `fix` is the command that solves or improves it."""

    what: str
    found: str
    good: bool = True
    fix: str | None = None


def examine() -> list[Finding]:
    """Check everything; the self-test runs anew instead of being read from the cache."""
    return [*_versions(), *_isolation(), *_redis(), *_airflow(), *_home(), *_content()]


def show(findings: list[Finding], console: Console) -> bool:
    """Print the findings; return whether none is a problem."""
    from rich.text import Text

    for finding in findings:
        mark = ("ok      ", "green") if finding.good else ("problem ", "red")
        console.print(Text.assemble(mark, (f"{finding.what}: ", "bold"), finding.found))
        if finding.fix:
            console.print(Text(f"        fix: {finding.fix}", "yellow"))
    return all(finding.good for finding in findings)


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    if sys.version_info >= OLDEST:
        yield Finding("Python", f"{python} at {sys.executable}")
    else:
        yield Finding(
            "Python", f"{python} is too old", good=False, fix="install Python 3.11 or newer"
        )
    yield Finding("archprep", __version__)
    for name in LIBRARIES:
        try:
            yield Finding(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(
                name, "not installed", good=False, fix=f"{sys.executable} -m pip install {name}"
            )


def _isolation() -> Iterator[Finding]:
    if not processes.is_linux():
        yield Finding(
            "isolation",
            "level D, for your own code only. Level A needs Linux: WSL on Windows, a VM on macOS",
        )
        return
    if isolation.find_bwrap() is None:
        yield Finding(
            "isolation",
            "level D, because bubblewrap is missing",
            good=False,
            fix=_install("bubblewrap"),
        )
        return
    try:
        tested = selftest.inspect("A", fresh=True)
    except ArchprepError as e:
        yield Finding("isolation", e.message, good=False, fix=_fix_isolation(e.message))
        return
    yield Finding(
        "isolation", f"level {tested.profile.level}, {tested.version}, kernel {isolation.kernel()}"
    )
    for name, result in tested.results.items():
        yield Finding(f"self-test {name.replace('_', ' ')}", result, good=result == BLOCKED)


def _redis() -> Iterator[Finding]:
    found = redis_server.find()
    if found is None:
        # Not a problem: most exercises need none.
        missing = "not installed; only some exercises need it"
        yield Finding("Redis server", missing, fix=_install_redis())
        return
    version = redis_server.version(found)
    if version is None:
        yield Finding("Redis server", f"{found} cannot be run", good=False, fix=_install_redis())
        return
    yield Finding("Redis server", f"{version} at {found}")


def _install_redis() -> str:
    if processes.is_linux() and platform.machine() == "x86_64":
        return f"{sys.executable} -m {redis_server.INSTALL}"
    return _install("redis-server")


def _airflow() -> Iterator[Finding]:
    found = airflow_installation.version()
    if found is None:
        # Not a problem either.
        ((_, fix),) = airflow_installation.problems()
        yield Finding("Airflow", "not installed; only exercises with DAGs need it", fix=fix)
        return
    problems = airflow_installation.problems()
    for what, fix in problems:
        yield Finding("Airflow", what, good=False, fix=fix)
    if problems:
        return
    for path in airflow_home.damaged():
        what = f"its database {path} is damaged; the next check rebuilds it"
        yield Finding("Airflow", what, good=False, fix=f"rm {shlex.quote(str(path))}")
    if not airflow_installation.is_compiled():
        found += ", not compiled: each check takes seconds longer"
        yield Finding("Airflow", found, fix=airflow_installation.compile_command())
        return
    yield Finding("Airflow", found)


def _fix_isolation(message: str) -> str:
    if "system call filter" in message.replace("_", " "):
        return _install("libseccomp2")
    if _apparmor_restricts():
        return _apparmor_profile(isolation.find_bwrap() or "/usr/bin/bwrap")
    return (
        "allow unprivileged user namespaces, "
        "or run archprep in a container started with --privileged"
    )


def _apparmor_restricts() -> bool:
    """Whether only programs with a profile may create user namespaces, as on Ubuntu."""
    with contextlib.suppress(OSError):
        return APPARMOR.read_text().strip() == "1"
    return False


def _apparmor_profile(bwrap: str) -> str:
    """A command that lets this one program create them, and leaves the protection on."""
    profile = f'profile archprep-bwrap "{bwrap}" flags=(unconfined) {{ userns, }}'
    target = "/etc/apparmor.d/archprep-bwrap"
    return (
        f"printf '%s\\n' 'abi <abi/4.0>,' {shlex.quote(profile)} | sudo tee {target} "
        f"&& sudo apparmor_parser --replace {target}"
    )


def _install(package: str) -> str:
    sudo = "" if os.geteuid() == 0 else "sudo "
    for tool, command in (("apt-get", "install -y"), ("dnf", "install -y"), ("pacman", "-S")):
        if shutil.which(tool):
            return f"{sudo}{tool} {command} {package}"
    return f"install {package} with your package manager"


def _home() -> Iterator[Finding]:
    home = store.home()
    existing = next(p for p in (home, *home.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        yield Finding(
            "home",
            f"{home} is not writable",
            good=False,
            fix="export ARCHPREP_HOME=~/archprep-home",
        )
        return
    free = shutil.disk_usage(existing).free >> 20
    good = free >= FREE_MB
    fix = None if good else "free some space, or export ARCHPREP_HOME=<a folder on another disk>"
    yield Finding("home", f"{home} ({free:,} MB free)", good=good, fix=fix)
    try:
        with store.Store.open() as state:
            for sentence in state.warnings:
                yield Finding("state", sentence)
    except ArchprepError as e:
        yield Finding("state", e.message, good=False, fix=e.tip)
    cached = len(list(store.cache_dir().glob("isolation-*.json")))
    yield Finding("cache", f"{store.cache_dir()} (saved self-tests: {cached})")


def _content() -> Iterator[Finding]:
    try:
        exercises = catalog.load_all()
    except ArchprepError as e:
        yield Finding("exercises", e.message, good=False, fix=e.tip)
        return
    yield Finding("exercises", f"{len(exercises)} at {catalog.content_root()}")
