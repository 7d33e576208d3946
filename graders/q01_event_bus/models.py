"""The brief's rules on time and order, as the judge computes them from a drawn scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def seconds(script: Sequence[Sequence[Any]]) -> float:
    """How long a script runs."""
    return sum(args[0] for verb, *args in script if verb in ("sleep", "stubborn"))


def fails(script: Sequence[Sequence[Any]]) -> bool:
    return any(verb in ("raise", "cancelled") for verb, *_ in script)


def lives(
    at: float, attempts: Sequence[list[list[Any]]], backoffs: Sequence[float]
) -> tuple[list[float], float]:
    """The brief's rule of retries: the instants of all attempts, and of the end of the last one."""
    starts = []
    for number, script in enumerate(attempts, 1):
        starts.append(at)
        at += seconds(script)
        if not fails(script) or number == len(attempts):
            break
        at += backoffs[number]
    return starts, at


@dataclass(frozen=True)
class Load:
    """An event of a scheduling scenario, as its model sees it."""

    event: dict[str, Any]
    published: float
    seconds: float


def schedule(
    loads: Sequence[Load], places: int, *, ageless: bool = False
) -> dict[str, float] | None:
    """The brief's rule of what comes next: the start of each event; None if it leaves that open.

    `ageless` is a wrong rule, to see whether a draw tells it apart: an event is as old as its turn.
    """
    queue, busy, starts, taken = list(loads), [], {}, {load.published for load in loads}
    freed: dict[str | None, float] = {}
    instants = sorted(taken)
    while instants:
        now = instants.pop(0)
        freed |= {load.event["key"]: end for end, load in busy if end == now}
        busy = [(end, load) for end, load in busy if end > now]
        while len(busy) < places and (free := _free(queue, busy, now)):
            load = max(
                free, key=lambda x: (x.event["priority"], -_turn(x, freed) if ageless else 0)
            )
            end = now + load.seconds
            if end in taken:
                return None  # two things at one instant: their order is free
            queue.remove(load)
            taken.add(end)
            busy.append((end, load))
            starts[load.event["id"]] = now
            instants = sorted([*instants, end])
    return starts


def _turn(load: Load, freed: dict[str | None, float]) -> float:
    key = load.event["key"]
    return load.published if key is None else max(load.published, freed.get(key, 0.0))


def _free(queue: Sequence[Load], busy: Sequence[tuple[float, Load]], now: float) -> list[Load]:
    """Which queued events may go now, in publish order."""
    keys = {load.event["key"] for _, load in busy}
    free = []
    for load in queue:
        key = load.event["key"]
        if load.published <= now and (key is None or key not in keys):
            free.append(load)
        keys.add(key)
    return free
