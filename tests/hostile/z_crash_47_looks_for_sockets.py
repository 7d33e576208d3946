# case 47: no other socket of the judge can be found or replaced through the listener
# exercise: q98
# outcome: task 1 = candidate_error crash
# printed: tried them all, got nothing
# not printed: @TMP@
import fcntl
import os
import signal
import socket
import stat
import struct

import raw
from honest import make_app as honest

REQUESTS = (0x89E0, 0x894C, 0x8912, 0x8910, 0x8927)  # SIOCUNIXFILE, SIOCGSKNS, interfaces
SO_PEERPIDFD = 77
got = []


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    listener = raw.listeners()[0]
    link, _ = listener.accept()
    sockets = {"listener": listener, "link": link, "channel": socket.socket(fileno=os.dup(3))}
    for kind, one in sockets.items():
        print(kind, one.getsockname(), one.getpeername() if one is not listener else "")
        for request in REQUESTS:
            attempt(f"{kind} {request:#x}", fcntl.ioctl, one, request, bytes(64))
        attempt(f"{kind} signals", signals, one)
        attempt(f"{kind} named", one.bind, "\0archprep-squatted")
        for target in ("@SOCKET@", "\0@ABSTRACT@"):
            attempt(f"{kind} to {target!r}", one.connect, target)
        path = f"/proc/self/fd/{one.fileno()}"
        attempt(f"{kind} opened", os.open, path, os.O_RDWR)
        attempt(f"{kind} followed", connect, path)
        attempt(f"{kind} above", os.listdir, path + "/..")
        if isinstance(one.getsockname(), str) and one.getsockname():
            replace(kind, one.getsockname())
    for place in places():
        attempt(place, connect, place)
    with open("/proc/net/unix") as file:
        names = [line.split()[7] for line in list(file)[1:] if len(line.split()) > 7]
    got.extend(n for n in names if n.startswith(("/", "@archprep")))
    print("tried them all, got", *got or ["nothing"])
    raise AttributeError("no need to go on")


def replace(kind, path):
    for place in (path, os.path.dirname(path) + "/other", "/proc/self/root" + path):
        attempt(f"{kind} unlinked {place}", os.unlink, place)
        attempt(f"{kind} replaced by {place}", os.symlink, "@SOCKET@", place)
        attempt(f"{kind} reached {place}", connect, place)


def places():
    for root in ("/", "/proc/self/root", "/proc/1/root", "/proc/self/cwd"):
        for top in ("tmp", "run", "var", "dev", "home", "submission", "runtime", "@TMP@"):
            for folder, _, names in os.walk(os.path.join(root, top)):
                for name in names:
                    place = os.path.join(folder, name)
                    if stat.S_ISSOCK(os.lstat(place).st_mode):
                        yield place


def attempt(what, call, *args):
    try:
        call(*args)
        got.append(what)
    except OSError:
        pass


def connect(path):
    with socket.socket(socket.AF_UNIX) as own:
        own.settimeout(0.1)
        own.connect(path)


def signals(one):
    pidfd = one.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4)
    signal.pidfd_send_signal(struct.unpack("i", pidfd)[0], signal.SIGKILL)
