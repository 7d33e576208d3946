"""What a probe puts in front of a candidate's ASGI app: it takes off what the judge has added."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

Scope = dict[str, Any]

PORT = 51234  # of every peer that the judge names
PEER = "x-peer"  # the header field that names it


def take_headers(scope: Scope, own: Collection[str]) -> tuple[dict[str, str], Scope]:
    """Return the judge's own header fields, and the scope without them.

    The socket of a scenario has no peer address; if `own` has `x-peer`, the client is the address
    in that field, or None where it is missing.
    """
    names = {name.encode() for name in own}
    told = {name.decode(): value.decode() for name, value in scope["headers"] if name in names}
    left = {**scope, "headers": [(n, value) for n, value in scope["headers"] if n not in names]}
    if PEER in own:
        left["client"] = (told[PEER], PORT) if PEER in told else None
    return told, left


async def live(receive: Any, send: Any) -> None:
    """Start and stop as a server wants to hear it, for an app without a lifespan of its own."""
    for turn in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{turn}.complete"})


async def read_body(receive: Any) -> bytes:
    """Read the whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def answer(
    send: Any, status: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> None:
    """Send a whole response."""
    fields = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
