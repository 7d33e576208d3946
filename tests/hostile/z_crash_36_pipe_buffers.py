# case 36: pipes and sockets hold only what their number and default size allow
# outcome: task 1 = candidate_error crash
# printed: in pipes and sockets less than 150 MB
import contextlib
import fcntl
import os
import socket

from honest import fetch


def fill(write):
    held = 0
    with contextlib.suppress(OSError):
        while True:
            held += write(b"x" * 65536)
    return held


def weigh(numbers):
    held, kept = 0, []
    with contextlib.suppress(OSError):
        for _ in range(60):
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
            held += fill(lambda data: os.write(writer, data))
        while True:
            kept.append(socket.socketpair())
            for end in kept[-1]:
                end.setblocking(False)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
                held += fill(end.send)
    held >>= 20
    print("in pipes and sockets", "less than 150 MB" if 10 < held < 150 else f"{held:,} MB")
    raise AttributeError("no need to go on")
