# case 49: a reply that belongs to another request
# exercise: q98
# outcome: all = failed
import json

from honest import answer, body_of

known = {}


def make_app(vault=None, name=""):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        kind = scope["path"].split("/")[1]
        if kind not in known:
            known[kind] = sum(json.loads(body)) if body else name or "value"
            if vault:
                known[kind] = vault.get(scope["path"].rpartition("/")[2]) + 1
        await answer(send, known[kind] if kind != "name" else "one name for all")

    return app
