# case 43: a server that exits after its first reply
# exercise: q98
# outcome: task 1 = candidate_error crash
# message: exit status 3
import os

from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def exits(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            if served:
                os._exit(3)
            served.append(True)
        await app(scope, receive, send)

    return exits
