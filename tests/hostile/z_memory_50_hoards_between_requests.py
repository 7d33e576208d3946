# case 50: memory is watched for as long as an app lives
# exercise: q98
# outcome: task 1 = candidate_error memory
import asyncio
import os
import time

from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def hoards(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            if served:
                await asyncio.sleep(1.5)  # the judge's watch has its time
            else:
                hoard()
            served.append(True)
        await app(scope, receive, send)

    return hoards


def hoard():
    for _ in range(6):
        if os.fork() == 0:
            kept = b"x" * (150 << 20)
            time.sleep(60)
            os._exit(len(kept))
