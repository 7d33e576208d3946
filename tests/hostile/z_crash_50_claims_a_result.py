# case 50: an observation claimed while requests are in progress ends the scenario
# exercise: q98
# outcome: task 1 = candidate_error crash
# message: the server ended by itself
import json
import os
import struct
import time

from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def claims(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            if served:
                frame = json.dumps({"result": [[200, 0]] * 12}).encode()
                os.write(3, struct.pack(">I", len(frame)) + frame)
                time.sleep(60)
            served.append(True)
        await app(scope, receive, send)

    return claims
