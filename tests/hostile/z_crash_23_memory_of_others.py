# case 23: other processes cannot be traced, read or written
# outcome: task 1 = candidate_error crash
# printed: tried often, reached nothing
import ctypes
import os

from honest import fetch

libc = ctypes.CDLL(None, use_errno=True)
ATTACH, SEIZE = 16, 0x4206


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def weigh(numbers):
    tried, reached = 0, []
    own = {os.getpid(), *map(int, os.listdir("/proc/self/task"))}
    kept = ctypes.create_string_buffer(8)
    here = Part(ctypes.addressof(kept), 8)
    for pid in {*range(1, 400), os.getppid(), os.getsid(0)} - own - {0}:
        for request in (ATTACH, SEIZE):
            tried += 1
            if libc.ptrace(request, pid, None, None) == 0:
                reached.append(f"ptrace {pid}")
        for name in ("process_vm_readv", "process_vm_writev"):
            tried += 1
            if getattr(libc, name)(pid, ctypes.byref(here), 1, ctypes.byref(here), 1, 0) >= 0:
                reached.append(f"{name} {pid}")
        for name in ("mem", "environ", "maps", "auxv", "root", "cwd", "fd", "exe"):
            tried += 1
            try:
                os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
                reached.append(f"{name} {pid}")
            except OSError:
                continue
    print("tried", "often" if tried > 1000 else tried, end=", ")
    print("reached", *(reached or ["nothing"]))
    raise AttributeError("no need to go on")
