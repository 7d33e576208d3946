# case 50: descriptors sent to the judge do not arrive
# exercise: q98
# outcome: all = passed
import json
import os
import socket
import struct

import raw
from honest import make_app as honest

FIRST = os.getpid()


def make_app(vault=None, name=""):
    if os.getpid() != FIRST:
        return honest(vault, name)
    listener = raw.listeners()[0]
    numbers = [listener.fileno(), 0, 3]
    if vault:
        call = {"call": 0, "fake": "vault", "method": "get", "args": ["key0"], "kwargs": {}}
        frame = json.dumps(call).encode()
        with socket.socket(fileno=os.dup(3)) as channel:
            for _ in range(20):
                socket.send_fds(channel, [struct.pack(">I", len(frame)) + frame], numbers)
        listener.detach()
        return honest(vault)

    def answer(link, request, right):
        socket.send_fds(link, [raw.OK], numbers)
        body = right(request)
        head = b"Content-Length: %d\r\n\r\n" % len(body)
        socket.send_fds(link, [head + body], numbers)

    raw.play(answer, lambda _, body: name or sum(json.loads(body)))
