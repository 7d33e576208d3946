"""The command lines that start the fork server or a service under an isolation profile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from archprep.core.files import PACKAGE
from archprep.sandbox import isolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archprep.sandbox.isolation import Profile

SANDBOX_RUNTIME = "/runtime"
SANDBOX_SUBMISSION = Path("/submission")
SANDBOX_FILES = "/runtime/files"
SANDBOX_HOME = "/tmp/airflow"  # noqa: S108 - a stack's; scenarios mount their own /tmp
SERVICE_FOLDER = Path("/data")

_STACK_BYTES = 64 << 20
_TMP = "/tmp"  # noqa: S108 - the sandbox's own
_ENVIRONMENT = isolation.BARE_ENVIRONMENT | {"HOME": _TMP, "TMPDIR": _TMP}
_TOOLS = (Path("/usr/bin/setpriv"), Path("/usr/bin/prlimit"))
_SERVICE_LIMITS = (f"--as={384 << 20}", "--fsize=0", "--nofile=1024", "--core=0")


def fork_server(
    profile: Profile,
    stage: Path,
    secret: tuple[Path, ...],
    control_fd: int,
    files: Mapping[Path, str] = MappingProxyType({}),
) -> list[str]:
    """Return the command that starts the fork server.

    `secret` folders are hidden even where a library folder contains them. `files` maps paths on
    this machine to paths in the sandbox.
    """
    start = f"import sys; sys.path.insert(0, {_runtime_folder(profile)!r}); "
    start += f"from archprep.worker.fork_server import main; main({control_fd})"
    # -S: the environment's .pth files do not run in the sandbox, and booting is faster.
    python = [os.path.realpath(sys.executable), "-I", "-S", "-B", "-c", start]
    if not profile.contained:
        return python
    bwrap = [profile.tool, *_namespaces(profile), *_keep_capability(profile)]
    bwrap += [*_mounts(profile, stage, secret, files), "--"]
    return [*bwrap, *_hide_processes(profile), *_drop_root(profile), *python]


def service(profile: Profile, program: Path, folder: Path, filter_fd: int) -> list[str]:
    """Return the command that starts a server to which candidates connect over a socket.

    The server sees itself, its libraries, and `folder`, in which it creates that socket. An
    attacker who takes it over finds no shell, no /proc and no other writable folder.
    """
    if not profile.contained:
        return [*_limit_plain_service(), str(program)]
    inside = Path("/service", program.name)
    libraries = _libraries(program, *_TOOLS)
    files = {program: inside} | {path: path for path in (*_TOOLS, *libraries)}
    bwrap = [profile.tool, *_namespaces(profile), *_service_mounts(files, folder)]
    # Without /etc/ld.so.cache, the loader does not search every library's folder.
    folders = dict.fromkeys(str(path.parent) for path in libraries)
    bwrap += ["--setenv", "LD_LIBRARY_PATH", ":".join(folders), "--seccomp", str(filter_fd)]
    limit = ["prlimit", *_SERVICE_LIMITS, "--nproc=64", "--"]
    return [*bwrap, "--", *_drop_root(profile), *limit, str(inside)]


def library_paths_inside(profile: Profile) -> list[str]:
    """Return where the fork server finds the folders of installed packages.

    They are mounted outside /tmp, because a scenario's own /tmp would hide them.
    """
    if not profile.contained:
        return isolation.library_paths()
    return [f"{SANDBOX_RUNTIME}/lib{n}" for n, _ in enumerate(isolation.library_paths())]


def _runtime_folder(profile: Profile) -> str:
    """The folder from which the fork server imports archprep.worker."""
    return SANDBOX_RUNTIME if profile.contained else str(PACKAGE.parent)


def _limit_plain_service() -> list[str]:
    """At level D: the same limits, and an end with the judge, if the tools exist."""
    if not all(map(Path.exists, _TOOLS)):
        return []
    return ["setpriv", "--pdeathsig", "KILL", "--", "prlimit", *_SERVICE_LIMITS, "--"]


# -- namespaces and privileges ----------------------------------------------------------------


def _namespaces(profile: Profile) -> list[str]:
    """New namespaces and a bare environment; at level A without any capability."""
    shared = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    always = ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        always += ["--setenv", name, value]
    if profile.confinement == "new-user":
        return [*shared, *always]
    uid = str(profile.uid)
    ids = ["--unshare-user", "--disable-userns", "--uid", uid, "--gid", uid]
    # bubblewrap's own process would run inside as the same user, and could be written to.
    return [*ids, *shared, *always, "--as-pid-1", "--cap-drop", "ALL"]


def _keep_capability(profile: Profile) -> list[str]:
    """At level A the fork server mounts each scenario's /tmp; scenarios have no capability."""
    return ["--cap-add", "CAP_SYS_ADMIN"] if profile.confinement == "capability" else []


def _hide_processes(profile: Profile) -> list[str]:
    """Keep scenarios from seeing each other; at level A each mounts its own /proc instead."""
    if profile.confinement != "new-user":
        return []
    return ["sh", "-c", 'mount -o remount,hidepid=2 /proc && exec "$@"', "sh"]


def _drop_root(profile: Profile) -> list[str]:
    if profile.confinement != "new-user":
        return []
    uid = str(profile.uid)
    ids = ["--reuid", uid, "--regid", uid, "--clear-groups"]
    caps = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return ["setpriv", *ids, *caps, "--"]


# -- mounts -----------------------------------------------------------------------------------


def _mounts(
    profile: Profile, stage: Path, secret: tuple[Path, ...], files: Mapping[Path, str]
) -> list[str]:
    shown = [(path, path) for path in _system_folders()]
    libraries = map(Path, isolation.library_paths())
    shown += zip(libraries, map(Path, library_paths_inside(profile)), strict=True)
    args = _system_links()
    for path, inside in shown:
        args += _read_only(path, inside)
    args += _hide(secret, shown)
    args += ["--perms", "0755", "--dir", f"{SANDBOX_RUNTIME}/archprep"]
    args += ["--ro-bind", str(PACKAGE / "worker"), f"{SANDBOX_RUNTIME}/archprep/worker"]
    for path, place in files.items():
        args += _read_only(path, Path(place))
    args += ["--ro-bind", str(stage), str(SANDBOX_SUBMISSION)]
    # Scenarios mount their own /tmp over this one, which only a stack's first use writes to.
    size = str(_STACK_BYTES if files else 4096)
    args += [*_devices(), "--perms", "1777", "--size", size, "--tmpfs", _TMP, "--chdir", _TMP]
    return [*args, "--remount-ro", "/"]


def _devices() -> list[str]:
    args = ["--proc", "/proc", "--dev", "/dev"]
    # Shared mappings of /dev/zero are memory that the watchdog cannot count; see seccomp.py.
    args += ["--dev-bind", "/dev/null", "/dev/zero"]
    # Scenarios would see each other's terminals, so there are none.
    args += ["--size", "4096", "--tmpfs", "/dev/pts", "--remount-ro", "/dev/pts"]
    return [*args, "--size", "4096", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108


def _service_mounts(files: dict[Path, Path], folder: Path) -> list[str]:
    """Show these files, one writable folder, and two devices."""
    # /tmp first: a library may lie below it.
    args = ["--perms", "1777", "--size", "65536", "--tmpfs", _TMP, "--chdir", _TMP]
    for path, inside in files.items():
        args += _read_only(path, inside)
    for device in ("/dev/null", "/dev/urandom"):
        args += [*_parents(Path(device)), "--dev-bind", device, device]
    return [*args, "--bind", str(folder), str(SERVICE_FOLDER), "--remount-ro", "/"]


def _read_only(path: Path, inside: Path) -> list[str]:
    return [*_parents(inside), "--ro-bind", str(path), str(inside)]


def _parents(path: Path) -> list[str]:
    """Create the folders above a mount readable by everyone; bubblewrap's default is 0700."""
    args = []
    for parent in reversed(path.parents[:-1]):
        args += ["--perms", "0755", "--dir", str(parent)]
    return args


def _hide(secret: tuple[Path, ...], shown: list[tuple[Path, Path]]) -> list[str]:
    """Cover secret folders wherever a mount would show them."""
    args = []
    for folder in filter(Path.is_dir, secret):
        for path, inside in shown:
            if folder.is_relative_to(path):
                place = str(inside / folder.relative_to(path))
                args += ["--perms", "0755", "--size", "4096", "--tmpfs", place]
                args += ["--remount-ro", place]
    return args


def _system_folders() -> list[Path]:
    """/usr, /lib and the like where they are no links, and Python's own prefix."""
    folders = [path for path in _top_level_folders() if path.is_dir() and not path.is_symlink()]
    places = [Path("/usr"), *folders, Path(os.path.realpath(sys.base_prefix))]
    return [p for p in dict.fromkeys(places) if not any(q in p.parents for q in places)]


def _system_links() -> list[str]:
    """The links of a merged /usr, such as /lib -> usr/lib."""
    args = []
    for path in filter(Path.is_symlink, _top_level_folders()):
        args += ["--symlink", str(path.readlink()), str(path)]
    return args


def _top_level_folders() -> list[Path]:
    return [Path("/lib"), Path("/lib64"), Path("/bin")]


@cache
def _libraries(*programs: Path) -> tuple[Path, ...]:
    """The libraries that these programs load, with the loader; none if they are static."""
    listing = ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["ldd", *map(str, programs)]
        listing = subprocess.run(  # noqa: S603 - of programs that are about to run
            command, capture_output=True, text=True, timeout=5, check=False
        ).stdout
    found = re.findall(r"(/\S.*) \(0x[0-9a-f]+\)$", listing, re.MULTILINE)
    return tuple(map(Path, dict.fromkeys(found)))
