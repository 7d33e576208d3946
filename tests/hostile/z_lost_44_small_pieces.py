# case 44: endless replies in small pieces on all connections at once
# exercise: q98
# outcome: task 1 = candidate_error timeout, candidate_error output
import contextlib
import json

import raw
from honest import make_app as honest

PIECE = b"1\r\n \r\n" * 10_000


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    listener, links, first = raw.listeners()[0], [], 4
    while True:
        listener.setblocking(first > 0)
        with contextlib.suppress(BlockingIOError):
            link, _ = listener.accept()
            link.setblocking(True)
            request = raw.read(link)
            if first > 0:
                numbers = json.loads(request.partition(b"\r\n\r\n")[2])
                raw.answer(link, json.dumps(sum(numbers)).encode())
                link.close()
            else:
                link.sendall(raw.CHUNKED)
                link.setblocking(False)
                links.append([link, PIECE])
            first -= 1
        for entry in links:
            with contextlib.suppress(BlockingIOError):
                entry[1] = entry[1][entry[0].send(entry[1]) :] or PIECE
