# case 44: one reply floods the judge while others are in progress
# exercise: q98
# outcome: task 1 = candidate_error output
import threading

import raw
from honest import make_app as honest


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    listener, number = raw.listeners()[0], 0
    while True:
        link, _ = listener.accept()
        number += 1
        threading.Thread(target=serve, args=(link, number > 7), daemon=True).start()


def serve(link, floods):
    import json

    request = raw.read(link)
    if floods:
        raw.flood(link, raw.OK + b"\r\n", b" " * 60000)
    raw.answer(link, json.dumps(sum(json.loads(request.partition(b"\r\n\r\n")[2]))).encode())
    link.close()
