# case 48: an endpoint that blocks the loop fails its own requests, not those of other apps
# exercise: q98
# outcome: task 1 = candidate_error timeout
import time

from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def blocks(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            if served:
                time.sleep(60)
            served.append(True)
        await app(scope, receive, send)

    return blocks
