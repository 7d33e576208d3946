"""A server that may break HTTP in any way, on the judge's socket; attackers import it."""

import contextlib
import json
import re
import socket
import time

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def listeners():
    """Return the listening sockets among the open descriptors."""
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


def play(attack, expected, listener=None):
    """Answer the first request, for which the judge waits longest, correctly; then attack."""

    def right(request):
        head, _, body = request.partition(b"\r\n\r\n")
        return json.dumps(expected(head.split()[1].decode(), body)).encode()

    listener = listener or listeners()[0]
    link, _ = listener.accept()
    answer(link, right(read(link)))
    while True:
        link.close()
        link, _ = listener.accept()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the judge has given up
            attack(link, read(link), right)


def read(link):
    """Read a whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += link.recv(65536)
    length = re.search(rb"(?i)content-length: (\d+)", data)
    while length and len(data.partition(b"\r\n\r\n")[2]) < int(length[1]):
        data += link.recv(65536)
    return data


def answer(link, body, head=OK):
    """Send a reply that is valid if the head is."""
    link.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def drip(link, first, again):
    """Send an endless reply slowly."""
    link.sendall(first)
    while True:
        time.sleep(0.05)
        link.sendall(again)


def flood(link, first, again):
    """Send an endless reply as fast as possible."""
    link.sendall(first)
    while True:
        link.sendall(again)
