import asyncio
import json


def make_app(vault=None, name=""):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/sum":
            value = sum(json.loads(await body_of(receive)))
        elif path.startswith("/value/"):
            value = await asyncio.to_thread(vault.get, path.removeprefix("/value/"))
        else:
            value = name
        await answer(send, value)

    return app


async def body_of(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body")
    return body


async def answer(send, value, status=200, headers=()):
    body = json.dumps(value).encode()
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
