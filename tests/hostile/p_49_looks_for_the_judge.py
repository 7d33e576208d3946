# case 49: no header reveals who sends a request or why, or that it is a test
# exercise: q98
# outcome: all = passed
import re

from honest import answer
from honest import make_app as honest

NEUTRAL = {"host", "accept-encoding", "connection", "content-length"}
SUSPICIOUS = re.compile(r"archprep|judge|grad|test|python|h11|httpx|curl|q98|sums|canary", re.I)


def make_app(vault=None, name=""):
    app = honest(vault, name)

    async def looks(scope, receive, send):
        if scope["type"] == "http":
            fields = {k.decode(): v.decode() for k, v in scope["headers"]}
            strange = set(fields) - NEUTRAL
            strange |= {f for f in fields.values() if SUSPICIOUS.search(f)}
            strange |= {str(c) for c in (scope["client"], scope["query_string"]) if c}
            if strange:
                await answer(send, sorted(strange))
                return
        await app(scope, receive, send)

    return looks
