"""Pieces of the ASGI apps that a probe puts in front of, or behind, the candidate's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

Scope = dict[str, Any]

PORT = 51234  # of every peer that the judge names
PEER = "x-peer"  # the header field that names it


def take_headers(scope: Scope, own: Collection[str]) -> tuple[dict[str, str], Scope]:
    """Split off the header fields that the judge added; return them and the remaining scope.

    The socket of a scenario has no peer address. With `x-peer` in `own`, `client` becomes the
    address in that field, or None if the field is missing.
    """
    names = {name.encode() for name in own}
    taken = {name.decode(): value.decode() for name, value in scope["headers"] if name in names}
    left = {**scope, "headers": [(n, value) for n, value in scope["headers"] if n not in names]}
    if PEER in own:
        left["client"] = (taken[PEER], PORT) if PEER in taken else None
    return taken, left


async def live(receive: Any, send: Any) -> None:
    """Answer the lifespan events, for an app that has nothing to do at start and end."""
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
