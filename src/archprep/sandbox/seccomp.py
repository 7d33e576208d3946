"""The system call filter of scenarios: allows by default, denies what reaches past the sandbox.

A deny list, because an allow list breaks with updates of libc or other libraries. Sources:
seccomp(2), bubblewrap's advice on TIOCSTI (CVE-2017-5226, CVE-2019-10063).
"""

from __future__ import annotations

import errno
import tempfile
from functools import cache
from typing import Any

DENIED = """
    ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
    mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsmount fsconfig fspick
    mount_setattr
    unshare setns chroot
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    keyctl add_key request_key memfd_create memfd_secret
    splice tee vmsplice sendfile inotify_init inotify_init1
    shmget shmat semget msgget mq_open personality
    kexec_load kexec_file_load init_module finit_module delete_module reboot
    swapon swapoff acct quotactl quotactl_fd syslog io_setup modify_ldt
    name_to_handle_at open_by_handle_at
    clock_settime settimeofday adjtimex clock_adjtime iopl ioperm vhangup fanotify_init
""".split()
# Of calls that a libseccomp may be too old to know; since Linux 5.1 the same everywhere.
NUMBERS = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "open_tree_attr": 467,
}
CLONE_NEW = (0x10000000, 0x00020000, 0x08000000, 0x04000000, 0x20000000, 0x40000000, 0x02000000)
AF_NETLINK = 16  # glibc lists interfaces through it
OTHER_FAMILIES = (*range(3, 10), *range(11, AF_NETLINK))  # all except UNIX, INET and INET6
SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS
SOL_SOCKET, BUFFER_SIZES = 1, (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF and their FORCE
F_SETPIPE_SZ = 1031
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
SOCKET_REQUESTS = 0x8900  # and the 255 after it: interfaces, routes, ARP, timestamps


@cache
def program() -> bytes:
    """Return the filter as BPF; OSError or ImportError if libseccomp is missing or too old."""
    import pyseccomp as s

    rules = s.SyscallFilter(s.ALLOW)
    for name in DENIED:
        _deny(rules, name)
    # glibc falls back to clone, whose flags a filter can see.
    rules.add_rule(s.ERRNO(errno.ENOSYS), "clone3")
    for flag in CLONE_NEW:
        rules.add_rule(s.ERRNO(errno.EPERM), "clone", s.Arg(0, s.MASKED_EQ, flag, flag))
    rules.add_rule(s.ERRNO(errno.EAFNOSUPPORT), "socket", s.Arg(0, s.GT, AF_NETLINK))
    for family in OTHER_FAMILIES:
        rules.add_rule(s.ERRNO(errno.EAFNOSUPPORT), "socket", s.Arg(0, s.EQ, family))
    # Such memory can be filled and dropped from the page tables, where no watchdog counts it.
    shared = s.Arg(3, s.MASKED_EQ, SHARED_ANONYMOUS, SHARED_ANONYMOUS)
    rules.add_rule(s.ERRNO(errno.EPERM), "mmap", shared)
    # No watchdog counts the memory of socket buffers; their default size bounds it. Asking for
    # more succeeds, as programs expect, and has no effect.
    for option in BUFFER_SIZES:
        level = s.Arg(1, s.MASKED_EQ, 0xFFFFFFFF, SOL_SOCKET)
        rules.add_rule(s.ERRNO(0), "setsockopt", level, s.Arg(2, s.MASKED_EQ, 0xFFFFFFFF, option))
    # At level A pipes and other users' programs share one quota of pipe buffers.
    pipe_size = s.Arg(1, s.MASKED_EQ, 0xFFFFFFFF, F_SETPIPE_SZ)
    rules.add_rule(s.ERRNO(errno.EPERM), "fcntl", pipe_size)
    for request in (TIOCSTI, TIOCLINUX):
        # Masked, because the kernel compares only 32 bits.
        rules.add_rule(s.ERRNO(errno.EPERM), "ioctl", s.Arg(1, s.MASKED_EQ, 0xFFFFFFFF, request))
    # The judge's sockets belong to its network, and would reveal its addresses.
    request = s.Arg(1, s.MASKED_EQ, 0xFFFFFF00, SOCKET_REQUESTS)
    rules.add_rule(s.ERRNO(errno.EPERM), "ioctl", request)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _deny(rules: Any, name: str) -> None:
    """Deny a system call by name, or by number; OSError, and no level A, if neither is known."""
    import pyseccomp as s

    try:
        rules.add_rule(s.ERRNO(errno.EPERM), name)
    except OSError:
        if name not in NUMBERS:
            raise
        rules.add_rule(s.ERRNO(errno.EPERM), NUMBERS[name])
