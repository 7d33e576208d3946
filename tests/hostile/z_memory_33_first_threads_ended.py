# case 33: a process whose first thread has ended looks dead, but its memory counts
# outcome: task 1 = candidate_error memory
import ctypes
import mmap
import os
import threading
import time

from honest import fetch

EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
libc = ctypes.CDLL(None)


def hold():
    time.sleep(0.05)
    kept = mmap.mmap(-1, 120 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, len(kept), 4096):
        kept[page] = 1
    time.sleep(60)


def weigh(numbers):
    threading.stack_size(1 << 18)
    for _ in range(4):
        if os.fork() == 0:
            threading.Thread(target=hold).start()
            libc.syscall(EXIT, 0)
    time.sleep(60)
