# case 44: a reply sent before the request is read cannot depend on it
# exercise: q98
# outcome: task 1 = failed
import socket
import time

import raw
from honest import make_app as honest


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    listener = raw.listeners()[0]
    while True:
        link, _ = listener.accept()
        raw.answer(link, b"0")
        link.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
        link.close()
