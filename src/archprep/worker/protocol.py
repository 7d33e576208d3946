"""Frames: the only format between the judge and the sandbox.

A frame is a 4-byte big-endian length, then that many bytes of UTF-8 JSON: one object.
A scenario imports the candidate's modules, reports that, and waits for its request. Whatever
breaks the format ends the scenario (fail closed). Never pickle, marshal or YAML: a frame is data,
not instructions.

Judge -> fork server   {"boot": …}, {"spawn": …} followed by two descriptors, {"kill": pid},
                       {"warm_up": true} followed by one, for a second, warmed fork server
Fork server -> judge   {"ready": …}, {"spawned": pid} or {"refused": text},
                       {"exited": pid, "status": n}
Judge -> scenario      {"probe": …, "inputs": …, "fakes": {name: [one-way methods]},
                        "listeners": n, "endpoints": […]}, followed by their descriptors;
                       {"id": n, "value": …} or {"id": n, "error": text}
Scenario -> judge      {"imported": true}, {"call": n, …}, {"result": …} or {"raised": …}
"""

from __future__ import annotations

import json
import math
import re
import struct
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

MAX_FRAME = 1 << 20
MAX_DEPTH = 64  # what a frame holds can be walked, shown and compared by recursion
MAX_DIGITS = 300  # of an integer, so that it still converts to a float
IMPORT_SECONDS = 10.0  # an import that takes longer never ends, whatever a scenario may take
HEADER = struct.Struct(">I")

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class ProtocolError(Exception):
    """The other side broke the protocol."""


def encode(message: dict[str, Any]) -> bytes:
    """Encode a message as a frame; ProtocolError if it is not plain data or too large."""
    try:
        body = _ENCODER.encode(message).encode()
    except (TypeError, ValueError, RecursionError, UnicodeError) as e:
        raise ProtocolError(f"not plain data: {e}") from None
    if len(body) > MAX_FRAME:
        raise ProtocolError(f"a frame of {len(body):,} bytes; at most {MAX_FRAME:,} are allowed")
    return HEADER.pack(len(body)) + body


def decode(body: bytes) -> dict[str, Any]:
    """Parse a frame's body strictly: only what every later step can handle without a fault.

    No NaN or infinity, duplicate keys, lone surrogates, runaway nesting or integers.
    """
    try:
        # Decoded here: json would guess the encoding of bytes and let surrogates pass.
        message = _DECODER.decode(body.decode())
        if _SURROGATE.search(body):
            json.dumps(message, ensure_ascii=False).encode()  # half of a pair cannot be encoded
    except (ValueError, RecursionError) as e:
        raise ProtocolError(f"not a valid frame: {e}") from None
    if not isinstance(message, dict):
        raise ProtocolError("a frame must hold one object")
    # A frame with few brackets cannot be deep; most are spared the walk.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(message):
        raise ProtocolError(f"not a valid frame: nested more than {MAX_DEPTH} deep")
    return message


def body_length(header: bytes) -> int:
    """Read a header; ProtocolError if it announces more than `MAX_FRAME`."""
    length: int = HEADER.unpack(header)[0]
    if length > MAX_FRAME:
        raise ProtocolError(f"a frame of {length:,} bytes; at most {MAX_FRAME:,} are allowed")
    return length


def send(sock: socket.socket, message: dict[str, Any]) -> None:
    """Send one frame, whole."""
    sock.sendall(encode(message))


def receive(sock: socket.socket) -> dict[str, Any] | None:
    """Wait for one frame; None when the other side has closed between frames."""
    header = _exactly(sock, HEADER.size, at_start=True)
    if header is None:
        return None
    return decode(_exactly(sock, body_length(header)) or b"")


def _exactly(sock: socket.socket, size: int, *, at_start: bool = False) -> bytes | None:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            if at_start and not data:
                return None
            raise ProtocolError("the channel closed in the middle of a frame")
        data += chunk
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a duplicate key")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value


def _bounded(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text):,} digits")
    return int(text)


def _is_deep(message: dict[str, Any]) -> bool:
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return False
    return True


def _containers(outer: Any) -> Iterator[Any]:
    values = outer.values() if type(outer) is dict else outer
    return (v for v in values if type(v) is dict or type(v) is list)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Made once: a scenario has hundreds of frames.
_ENCODER = json.JSONEncoder(allow_nan=False)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded
)
