# case 13: nothing written after the answer replaces it
# outcome: task 1 = failed, candidate_error protocol
import atexit
import json
import os
import struct
import threading
import time

from honest import fetch


def late():
    body = json.dumps({"result": [1, "refused"] * 12}).encode()
    while True:
        time.sleep(0.0005)
        if finished:
            os.write(3, struct.pack(">I", len(body)) + body)


finished = []
atexit.register(late)


def weigh(numbers):
    if not finished:
        threading.Thread(target=late, daemon=True).start()
    finished.append(1)
    return 0
