# case 10: two answers are refused, even if both are right
# outcome: task 1 = candidate_error protocol
# message: after its answer
import json
import os
import struct
import sys

from honest import fetch
from honest import weigh as honest


def answer(numbers):
    try:
        return honest(numbers)
    except ValueError:
        return "refused"


def weigh(numbers):
    frame = sys._getframe()
    while "batches" not in frame.f_locals:
        frame = frame.f_back
    body = json.dumps({"result": [answer(n) for n in frame.f_locals["batches"]]}).encode()
    os.write(3, (struct.pack(">I", len(body)) + body) * 2)
    os._exit(0)
