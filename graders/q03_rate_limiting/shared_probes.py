"""Serves the candidate's limiters to the judge, on a real server that several processes share."""

from __future__ import annotations

import json
import time

from archprep.worker import asgi
from archprep.worker.plain_data import plain
from archprep.worker.scripted_errors import summarize
from archprep.worker.serve import serve_each


def shared(listeners, store, offsets, **settings):
    """Serve limiters in a process each, whose clocks are seconds off."""
    serve_each(lambda number: counter(store, offset=offsets[number], **settings), listeners)


def counter(store, limiter, prefix, db, offset):
    """An app that answers a hit in JSON with a decision in JSON."""
    import ratelimit
    import time_machine
    from redis.asyncio import Redis

    time_machine.travel(time.time() + offset, tick=True).start()
    redis = Redis(unix_socket_path=store, db=db)
    hit = getattr(ratelimit, limiter)(redis, prefix=prefix).hit

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await asgi.live(receive, send)
            return
        asked = json.loads(await asgi.read_body(receive))
        policies = tuple(ratelimit.Policy(*fields) for fields in asked["policies"])
        try:
            decision = await hit(asked["ident"], policies, cost=asked["cost"])
            fields = ("allowed", "remaining", "reset_s", "retry_after")
            said = {field: plain(getattr(decision, field, None)) for field in fields}
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001 - the judge is told
            said = {"broke": summarize(error)}
        await asgi.answer(send, 200, json.dumps(said).encode())

    return app
