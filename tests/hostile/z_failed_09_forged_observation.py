# case 9: a well-formed observation forged in advance does not fit the drawn inputs
# outcome: task 1 = failed
import json
import os
import struct

from honest import fetch


def weigh(numbers):
    body = json.dumps({"result": [1, "refused"] * 12}).encode()
    os.write(3, struct.pack(">I", len(body)) + body)
    os._exit(0)
