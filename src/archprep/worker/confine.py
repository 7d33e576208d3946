"""Confines a scenario's process before any of the candidate's code is imported.

The fork server, which runs trusted code only, may mount and unshare. Its children do so once and
then drop all privileges: see docs/how-it-works.md, "Isolation". The constants come from the Linux
headers; ctypes is needed because Python 3.11's os module lacks these calls.
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
CAPABILITY_VERSION_3, LAST_CAPABILITY = 0x20080522, 63

# The judge's deadline must come first, or a time-out would look like a crash. It counts less than
# the processor time on a loaded machine, but ends the import and the probe each after 15 times the
# allowed wall time. This limit remains for processes that outlive the judge.
CPU_FACTOR = 30

_libc = ctypes.CDLL(None, use_errno=True)


def harden_parent() -> None:
    """Keep children from reading or writing the fork server's memory, and adopt their orphans."""
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def enter_namespaces(*, new_user: bool) -> None:
    """Give this process new mount, IPC and network namespaces, and its children new process ids.

    `new_user`: create a user namespace as well, in which the caller has the capability to do so
    (level A-root). Otherwise it already has CAP_SYS_ADMIN in the sandbox's user namespace.
    """
    flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    if not new_user:
        _check(_libc.unshare(flags), "unshare")
        return
    uid, gid = os.getuid(), os.getgid()
    _prctl(PR_SET_DUMPABLE, 1)  # otherwise /proc/self/uid_map belongs to root
    _check(_libc.unshare(flags | CLONE_NEWUSER), "unshare")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    _prctl(PR_SET_DUMPABLE, 0)


def mount_private(size_mb: int) -> None:
    """Mount this scenario's own /tmp and /dev/shm; nr_inodes limits the number of empty files."""
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "mount /")
    options = f"size={size_mb}m,nr_inodes=10000,mode=1777".encode()
    for target in (b"/tmp", b"/dev/shm"):
        flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV)
        _check(_libc.mount(b"tmpfs", target, b"tmpfs", flags, options), f"mount {target.decode()}")


def mount_proc() -> None:
    """Mount a /proc that shows this scenario's processes only.

    At level A other scenarios run as the same user, so their memory and folders could be opened
    through /proc. At level A-root each scenario's user namespace prevents that.
    """
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount /proc")


def give_up_privileges(seccomp: bytes) -> None:
    """Drop every capability irrevocably and load the system call filter."""
    for capability in range(LAST_CAPABILITY + 1):
        # Unchecked: without CAP_SETPCAP the bounding set is already small.
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _load_filter(seccomp)


def limit(limits: dict[str, Any]) -> None:
    """Set the resource limits of this process and its children."""
    mb = 1 << 20
    wanted = {
        "RLIMIT_AS": limits["memory_mb"] * mb,
        "RLIMIT_NPROC": limits["processes"],
        "RLIMIT_FSIZE": limits["files_mb"] * mb,
        "RLIMIT_CPU": int(CPU_FACTOR * limits["seconds"]) + 2,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_MEMLOCK": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        # Not every system has or accepts every limit (macOS lacks RLIMIT_AS). The judge's limits
        # on time, memory and output apply everywhere.
        if kind is not None:
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _load_filter(bpf: bytes) -> None:
    code = ctypes.create_string_buffer(bpf, len(bpf))
    program = _Program(len(bpf) // 8, ctypes.cast(code, ctypes.c_void_p))
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
