"""The brief's rules on time and order, as the judge computes them from a drawn scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archprep.grading.toolkit.draw import UndecidedError


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


def _urgency(load: Load, _: float) -> tuple[float, ...]:
    """What comes first: the highest priority, then what was published first."""
    return (load.event["priority"], -load.published)


@dataclass(frozen=True)
class Rule:
    """What comes next, by the brief; other values are mistakes that a draw has to tell apart."""

    # Of an event that is free since an instant: published, and its key free.
    urgency: Callable[[Load, float], tuple[float, ...]] = _urgency
    keyed: bool = True  # events of one key wait for one another
    overtakes: bool = False  # of those that wait for one key the most urgent is next
    more_places: int = 0
    ties: bool = False  # decides, too, where two things happen at one instant


BRIEF = Rule()
NO_PRIORITY = Rule(lambda load, _: (-load.published,), ties=True)
LOW_FIRST = Rule(lambda load, _: (-load.event["priority"], -load.published), ties=True)
NEWEST_FIRST = Rule(lambda load, _: (load.event["priority"], load.published), ties=True)
AGELESS = Rule(
    lambda load, since: (load.event["priority"], -since, -load.published),
    ties=True,
)
NO_KEYS = Rule(keyed=False, ties=True)
OVERTAKING = Rule(overtakes=True, ties=True)
ONE_PLACE_LESS = Rule(more_places=-1, ties=True)
ONE_PLACE_MORE = Rule(more_places=1, ties=True)


def schedule(loads: Sequence[Load], places: int, rule: Rule = BRIEF) -> dict[str, float]:
    """The start of each event; UndecidedError if the brief leaves that open."""
    queue, busy, starts, taken = list(loads), [], {}, {load.published for load in loads}
    freed: dict[str | None, float] = {}
    instants = sorted(taken)
    while instants:
        now = instants.pop(0)
        freed |= {load.event["key"]: end for end, load in busy if end == now}
        busy = [(end, load) for end, load in busy if end > now]
        while len(busy) < places + rule.more_places and (free := _free(queue, busy, now, rule)):
            load = max(free, key=lambda x: rule.urgency(x, _since(x, freed)))
            end = now + load.seconds
            if end in taken and not rule.ties:
                raise UndecidedError  # two things at one instant: their order is free
            queue.remove(load)
            taken.add(end)
            busy.append((end, load))
            starts[load.event["id"]] = now
            instants = sorted({*instants, end})
    return starts


def _since(load: Load, freed: dict[str | None, float]) -> float:
    key = load.event["key"]
    return load.published if key is None else max(load.published, freed.get(key, 0.0))


def _free(
    queue: Sequence[Load], busy: Sequence[tuple[float, Load]], now: float, rule: Rule
) -> list[Load]:
    """Which queued events may go now, in publish order."""
    waiting = [load for load in queue if load.published <= now]
    if not rule.keyed:
        return waiting
    if rule.overtakes:
        waiting.sort(key=lambda load: -load.event["priority"])
    keys, free = {load.event["key"] for _, load in busy}, []
    for load in waiting:
        if load.event["key"] is None or load.event["key"] not in keys:
            free.append(load)
        keys.add(load.event["key"])
    return free
