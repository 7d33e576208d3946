# case 50: a daemon that keeps a listener can serve neither on it nor on the next scenario's
# exercise: q98
# outcome: all = passed
import contextlib
import os
import signal
import time

import raw
from honest import make_app as honest


def make_app(vault=None, name=""):
    server = os.getpid()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(3)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.write(writer, b"!")
            outlive(server)
        os._exit(0)
    os.wait()
    if os.read(reader, 1) != b"!":
        raise SystemExit("the daemon was never there")
    return honest(vault, name)


def outlive(server):
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(server, 0)
            time.sleep(0.01)
    while True:
        link, _ = raw.listeners()[0].accept()
        raw.answer(link, b'"served by a daemon"')
