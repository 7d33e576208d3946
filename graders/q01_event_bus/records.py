"""What comes from the sandbox, in typed form: calls while a scenario plays, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class About(msgspec.Struct):
    """An event as a handler saw it."""

    id: str
    type: str = ""
    payload: dict[str, Any] = {}
    key: str | None = None
    priority: int = 0
    attempt: int = 1
    occurred_at: float = 0.0


class Letter(msgspec.Struct):
    """A dead letter, as read from the bus."""

    event: About
    stage: str
    handler: str | None
    error_type: str
    error: str
    attempts: int
    at: float


class Seen(msgspec.Struct):
    """What the probe returned."""

    outcomes: list[tuple[int, float, str, str]] = []
    letters: list[Letter] = []
    dropped: int = -1
    broke: str = ""  # what a task of the bus died of
    stuck: str = ""  # "waits" for ever, or "spins" within one instant


@dataclass(slots=True)
class Call:
    """A call of a handler, a filter, a middleware or the journal. `order` counts on."""

    kind: str
    name: str
    event: About
    start: float
    order: int
    end: float | None = None
    outcome: str = "running"
    end_order: int = -1


def letter_field(letter: Letter, name: str) -> Any:
    return getattr(
        letter.event if name in ("id", "type", "payload", "key", "priority") else letter, name
    )
