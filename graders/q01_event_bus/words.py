"""Programs of the sweep, as a candidate reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ACTS = {
    "sleep": "takes {0:.6g} s",
    "raise": "raises {0}({1!r})",
    "cancelled": "raises CancelledError by itself",
    "mutate": "changes the payload it got",
    "stubborn": "takes {0:.6g} s; cancelled, it goes on for {1:.6g} s, then it {2}s",
}
WHOSE = {"handlers": "", "filters": "the filter of "}


def tell(program: dict[str, Any]) -> list[str]:
    """One line for each setting, step and script."""
    return [*_bus(program), *_lives(program), *_scripts(program)]


def _bus(program: dict[str, Any]) -> Iterator[str]:
    pauses = ", then ".join(f"{seconds:.6g}" for seconds in program["backoff"])
    settings = [f"{name}={value:.6g}" for name, value in program["settings"].items()]
    yield f"Bus({', '.join(settings)}), backoff {pauses} s"
    if "journal" in program:
        says = [f"{name} takes {takes:.6g} s" for name, takes in program["journal"].items()]
        says += [f"the first append of {event} raises OSError" for event in program["refuse"]]
        yield f"with a journal{': ' if says else ''}{', '.join(says)}"


def _lives(program: dict[str, Any]) -> Iterator[str]:
    for number, steps in enumerate(program["lives"], 1):
        if number > 1:
            yield f"life {number}: a new Bus with the same journal"
        yield from (f"at {step['at']:.6g} s: {_step(program, step)}" for step in steps)


def _scripts(program: dict[str, Any]) -> Iterator[str]:
    for table, whose in WHOSE.items():
        for key, calls in program[table].items():
            name, event = key.split()
            yield f"{whose}{name} on {event}: {'; the next call '.join(map(_call, calls))}"


def _call(call: Any) -> str:
    if call == "raise":
        return "raises Picky"
    if not isinstance(call, list):
        return f"answers {call!r}"
    return ", ".join(ACTS[verb].format(*args) for verb, *args in call)


def _step(program: dict[str, Any], step: dict[str, Any]) -> str:
    if step["do"] == "subscribe":
        return f"subscribe {_sub(**program['subs'][step['sub']])}"
    if step["do"] == "cancel":
        return f"cancel the subscription {program['subs'][step['sub']]['name']} ({step['sub']})"
    args = [_event(step["event"], program["events"][step["event"]])] if "event" in step else []
    args += [f"{k}={step[k]}" for k in ("index", "block", "drain", "timeout") if k in step]
    spoil = ", then change its payload" if step.get("spoil") else ""
    within = f" inside asyncio.timeout({step['within']:.6g})" if "within" in step else ""
    return f"{step['do']}({', '.join(args)}){spoil}{within}"


def _sub(name: str, pattern: str, takes: float, *, priority: int = 0, filter: bool = False) -> str:
    more = f", priority {priority}" * bool(priority) + ", with a filter" * filter
    return f"{pattern!r} for {name} (takes {takes:.6g} s{more})"


def _event(event_id: str, event: dict[str, Any]) -> str:
    odd = [f"{k} {event[k]!r}" for k in ("key", "priority") if event.get(k) not in (None, 0)]
    return " ".join([event_id, event["type"], *odd])
