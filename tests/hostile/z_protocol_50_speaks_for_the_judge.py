# case 50: only the judge can answer calls of its objects
# exercise: q98
# outcome: task 2 = candidate_error protocol
# message: a frame of unknown kind
import json
import os
import struct

from honest import make_app as honest


def make_app(vault=None, name=""):
    if vault:
        for number in range(1, 9):
            frame = json.dumps({"id": number, "value": 0}).encode()
            os.write(3, struct.pack(">I", len(frame)) + frame)
    return honest(vault, name)
