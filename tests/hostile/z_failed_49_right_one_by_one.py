# case 49: a server that is right only for some requests fails for the others
# exercise: q98
# outcome: sums-at-once = failed
import json

from honest import answer, body_of
from honest import make_app as honest

served = []


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def forgets(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/sum":
            numbers = json.loads(await body_of(receive))
            served.append(sum(numbers))
            await answer(send, served[-1] if len(served) <= 4 else served[3])
        else:
            await app(scope, receive, send)

    return forgets
