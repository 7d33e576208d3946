# case 36: memory that no watchdog counts cannot be allocated
# outcome: task 1 = candidate_error crash
# printed: memfd shm mq mmap vmsplice refused
import ctypes
import errno
import mmap
import os

from honest import fetch

libc = ctypes.CDLL(None, use_errno=True)
MQ_OPEN = {"x86_64": 240, "aarch64": 180}[os.uname().machine]


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def shared():
    try:
        mmap.mmap(-1, 1 << 20, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    except OSError as e:
        ctypes.set_errno(e.errno)
        return -1
    return 0


def spliced():
    # A byte of it in a pipe keeps a whole huge page alive when it has long been unmapped.
    page = ctypes.create_string_buffer(1)
    return libc.vmsplice(os.pipe()[1], ctypes.byref(Part(ctypes.addressof(page), 1)), 1, 0)


WAYS = {
    "memfd": lambda: libc.memfd_create(b"x", 0),
    "shm": lambda: libc.shmget(0, 1 << 20, 0o1600),
    "mq": lambda: libc.syscall(MQ_OPEN, b"x", os.O_CREAT | os.O_RDWR, 0o600, None),
    "mmap": shared,
    "vmsplice": spliced,
}


def weigh(numbers):
    refused = [n for n, way in WAYS.items() if way() == -1 and ctypes.get_errno() == errno.EPERM]
    print(*refused, "refused")
    raise AttributeError("no need to go on")
