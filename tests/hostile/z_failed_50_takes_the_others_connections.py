# case 50: an app that answers for another one answers wrongly
# exercise: q98
# outcome: task 3 = failed
import json
import os
import threading

import archprep.worker.serve
import raw
from honest import make_app as honest

FIRST = os.getpid()
archprep.worker.serve._close_all_but = lambda *_: None


def make_app(vault=None, name=""):
    if name:
        for listener in raw.listeners():
            threading.Thread(target=take, args=(listener, name), daemon=True).start()
        threading.Event().wait()
    return honest(vault, name)


def take(listener, name):
    while True:
        link, _ = listener.accept()
        raw.read(link)
        raw.answer(link, json.dumps(name if os.getpid() != FIRST else "both").encode())
        link.close()
