"""Laid beside attackers: a server without any rules on the socket that the judge has made."""

import contextlib
import json
import re
import socket
import time

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def listeners():
    """Whatever listens among the open descriptors."""
    found = []
    for number in range(4, 64):
        try:
            candidate = socket.socket(fileno=number)
        except OSError:
            continue
        if candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(candidate)
        else:
            candidate.detach()
    return found


def play(attack, due, listener=None):
    """Answer the first request rightly, for which the judge waits longest; then attack."""

    def right(request):
        head, _, body = request.partition(b"\r\n\r\n")
        return json.dumps(due(head.split()[1].decode(), body)).encode()

    listener = listener or listeners()[0]
    link, _ = listener.accept()
    answer(link, right(read(link)))
    while True:
        link.close()
        link, _ = listener.accept()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the judge had enough
            attack(link, read(link), right)


def read(link):
    """A request, whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += link.recv(65536)
    length = re.search(rb"(?i)content-length: (\d+)", data)
    while length and len(data.partition(b"\r\n\r\n")[2]) < int(length[1]):
        data += link.recv(65536)
    return data


def answer(link, body, head=OK):
    """A sound reply, unless the head is none."""
    link.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def drip(link, first, again):
    """A reply that never ends, and never comes to a halt."""
    link.sendall(first)
    while True:
        time.sleep(0.05)
        link.sendall(again)


def flood(link, first, again):
    """A reply that never ends, as fast as it can."""
    link.sendall(first)
    while True:
        link.sendall(again)
