"""Hostile probes of the self-test, which run in the sandbox like those of any exercise.

They only try; the judge decides whether an attempt was blocked (selftest_attempts.py).
"""

import ctypes
import mmap
import os
import socket
import time

CLONE_NEWUSER, PR_SET_NAME = 0x10000000, 15
SYS_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}


def read(paths):
    """Return the content of each readable path: a file's text or a folder's names."""
    found = {}
    for path in paths:
        try:
            is_folder = os.path.isdir(path)
            found[path] = os.listdir(path) if is_folder else open(path, errors="replace").read(4000)
        except OSError:
            continue
    return found


def environments():
    """Return every readable environment in /proc."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.append(open(f"/proc/{name}/environ", errors="replace").read(20000))
            except OSError:
                continue
    return found


def open_for_writing(path):
    """Return whether the path can be opened for writing; write nothing."""
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


def create(folders, name):
    """Return the folders in which a file could be created."""
    created = []
    for folder in folders:
        try:
            os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY))
            created.append(folder)
        except OSError:
            continue
    return created


def connect(port, path):
    """Connect to the judge's sockets; the judge sees whether it worked."""
    for family, address in ((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, path)):
        try:
            with socket.socket(family) as s:
                s.settimeout(0.5)
                s.connect(address)
        except OSError:
            continue
    return True


def new_user_namespace():
    """Return whether a user namespace, with all capabilities in it, could be created."""
    return ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0


def processes(most):
    """Return how many processes could be started at once."""
    started = 0
    for _ in range(most):
        try:
            pid = os.fork()
        except OSError:
            break
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        started += 1
    return started


def memory(megabytes):
    """Return whether that much memory could be allocated."""
    try:
        bytearray(megabytes << 20)
    except MemoryError:
        return False
    return True


def hidden_memory():
    """Return the kinds of memory that could be allocated although no watchdog counts them."""
    found = []
    for kind, descriptor in (("anonymous", lambda: -1), ("zero", open_zero)):
        try:
            mmap.mmap(descriptor(), 4096, mmap.MAP_SHARED).close()
            found.append(kind)
        except OSError:
            continue
    if ctypes.CDLL(None).syscall(SYS_MEMFD_CREATE.get(os.uname().machine, -1), b"x", 0) >= 0:
        found.append("memfd")
    return found + pinned_pages()


def pinned_pages():
    """Return the calls by which a socket could hold pages of a file that is truncated later."""
    found = []
    reader, writer = os.pipe()
    with open("/tmp/pages", "wb+") as file, socket.socketpair()[0] as there:
        file.write(b"x" * 4096)
        file.flush()
        for name, call in (
            ("splice", lambda: os.splice(file.fileno(), writer, 1, offset_src=0)),
            ("sendfile", lambda: os.sendfile(there.fileno(), file.fileno(), 0, 1)),
        ):
            try:
                call()
                found.append(name)
            except BrokenPipeError:  # the call itself was allowed
                found.append(name)
            except OSError:
                continue
    os.close(reader)
    os.close(writer)
    return found


def backlog(most):
    """Connect and hang up, so that what was sent stays with the listener; return how often."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0backlog")
        listener.listen(most)
        for connected in range(most):
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                try:
                    client.connect("\0backlog")
                    client.send(b"x")
                except OSError:
                    return connected
        time.sleep(0.5)  # for the judge to look
    return most


def open_zero():
    """Open /dev/zero, which is memory when it is mapped."""
    return os.open("/dev/zero", os.O_RDWR)


def disk(megabytes):
    """Return how many megabytes could be written to /tmp."""
    block, written = b"x" * (1 << 20), 0
    try:
        for number in range(megabytes):
            with open(f"/tmp/{number % 8}", "ab") as file:
                file.write(block)
            written += 1
    except OSError:
        pass
    return written


def empty_files(most):
    """Return how many empty files could be created."""
    created = 0
    try:
        for created in range(most):
            os.close(os.open(f"/tmp/{created}", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pass
    return created


def outlive(name):
    """Leave a daemon of that name behind, in its own session and holding the output open."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
            os.write(writer, b"!")
            time.sleep(60)
        os._exit(0)
    os.wait()
    return os.read(reader, 1) == b"!"


def write_memory():
    """Return the other processes whose memory could be opened for writing."""
    others = {n for n in os.listdir("/proc") if n.isdigit()} - {os.readlink("/proc/self")}
    return [name for name in others if open_for_writing(f"/proc/{name}/mem")]


def kill_all():
    """Send SIGKILL to every process that can be signalled."""
    for pid in (1, os.getppid(), -1):
        try:
            os.kill(pid, 9)
        except OSError:
            continue
    return True
