"""Requests, answers and tokens in words: the sentences of a failed criterion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from .client import Answer

LONG = {"access_token", "refresh_token", "token", "code", "code_verifier", "code_challenge"}
REFRESH = ("grant_type", "refresh_token")
MOST = 200  # characters of a body


def short(token: Any) -> str:
    """The beginning of a token: enough to tell it from others."""
    text = token.decode("latin-1") if isinstance(token, bytes) else str(token)
    if text.startswith("eyJ"):  # all JWTs begin alike, and end differently
        return text if len(text) <= 16 else f"eyJ…{text[-8:]}"
    return text if len(text) <= 12 else f"{text[:8]}…"


def tell_pairs(pairs: Any) -> str:
    """Parameters, with their tokens cut short."""
    items = [*(pairs.items() if isinstance(pairs, dict) else pairs)]
    if [name for name, _ in items].count("refresh_token") == 1 and REFRESH in items:
        items.remove(REFRESH)  # says nothing that the token does not
    return ", ".join(f"{n}={short(v) if n in LONG else v}" for n, v in items)


def tell_request(
    method: str, path: str, form: Any, data: Any, bearer: Any, basic: tuple[str, str] | None
) -> str:
    """A request by what matters in it."""
    parts = urlsplit(path)
    told = f"{method} {parts.path}"
    if bearer is not None:
        told += f" with the access token {short(bearer)}"
    if basic is not None:
        told += f" as {basic[0]} with the secret {short(basic[1])}"
    if pairs := parse_qsl(parts.query, keep_blank_values=True) if parts.query else form:
        told += f": {tell_pairs(pairs)}"
    if data is not None:
        told += f" {data.decode('latin-1') if isinstance(data, bytes) else json.dumps(data)}"
    return told


def tell_answer(answer: Answer) -> str:
    """Status and body, or where it redirects to."""
    told = str(answer.status)
    if answer.reply.header("location"):
        where, query = answer.location
        return f"{told}, to {where} [{tell_pairs(query)}]"
    if answer.access:
        body = answer.body
        found = [f"refresh_token {short(answer.refresh)}"] if answer.refresh else []
        return f"{told} with " + ", ".join(["tokens", *found, f'scope "{body.get("scope")}"'])
    if answer.body:
        cut = {name: short(v) if name in LONG else v for name, v in answer.body.items()}
        return f"{told} {json.dumps(cut, ensure_ascii=False)[:MOST]}"
    if answer.reply.body:
        return f"{told} {answer.reply.body[:80]!r}"
    return f"{told}, without a body"


def tell_jwt(token: bytes) -> str:
    """The parts of a token of the matrix, as far as they can be read."""
    from .tokens import b64decode_loosely

    header, _, rest = token.partition(b".")
    payload = rest.partition(b".")[0]
    lines = [f"header {b64decode_loosely(header)}", f"claims {b64decode_loosely(payload)}"]
    return "\n".join(line[:MOST] for line in lines)
