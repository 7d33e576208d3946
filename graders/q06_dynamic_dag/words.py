"""How runs are told: the sentences of a failed criterion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .plays import STEPS
from .world import SAYS

if TYPE_CHECKING:
    from .plays import Failure, Run

MOST = 300  # characters of a message


def instant(at: datetime | None) -> str:
    return (
        "no instant"
        if at is None
        else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    )


def listed(names: Iterable[object], none: str = "nobody") -> str:
    """Names in a sentence."""
    shown = [str(name) for name in names]
    if len(shown) < 2:
        return "".join(shown) or none
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def called(count: int, whom: str = "") -> str:
    """How often something was called, and for whom."""
    whom = f" for {whom}" if whom else ""
    return f"was {'never called' if not count else f'called {times(count)}'}{whom}"


def times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def of_run(run: Run, *more: str) -> str:
    """The drawn input of a run."""
    how = "started by hand" if run.by_hand else "as scheduled"
    variable = (
        "no Variable active_tenants"
        if run.variable is None
        else f"active_tenants = {run.tenants!r}"
    )
    if run.variable == "null":
        variable = "active_tenants = null"
    return "\n".join(
        [f"a run of [{instant(run.start)}, {instant(run.end)}), {how}", variable, *more]
    )


def why(run: Run, tasks: Sequence[str] = ("get_tenants", *STEPS)) -> str:
    """What went wrong in these tasks of a run, but for what was planned to."""
    if not run.told.state:
        return ""
    for failure in run.told.failures:
        if failure.type == "NotImplementedError" and failure.task is None:
            return f". Not written yet: {_place(failure)}"
        if failure.task in tasks and not _planned(failure):
            return f". {_failure(run, failure)}"
    if not run.told.tasks:
        return ". The DAG has no tasks"
    missing = [task for task in tasks if not run.instances(task)]
    if missing:
        return f". The run had no task {listed(missing)}"
    states = {str(i.state) for i in run.instances(tasks[0])} - {"success", "failed"}
    return f". The state of {tasks[0]} is {listed(sorted(states))}" if states else ""


def _planned(failure: Failure) -> bool:
    return any(says in failure.message for says in SAYS.values())


def _failure(run: Run, failure: Failure) -> str:
    where = failure.task or "a callback of the DAG"
    labels = [
        i.label for i in run.instances(failure.task or "") if i.map_index == failure.map_index
    ]
    if failure.map_index >= 0:
        where += f"[{(labels[0] if labels else None) or failure.map_index}]"
    if failure.callback:
        where += f" in its {failure.callback}"
    said = f"{where} raised {failure.type}: {failure.message}"[:MOST]
    return f"{said} ({_place(failure)})" if failure.frames else said


def _place(failure: Failure) -> str:
    """Where the candidate's code raised it."""
    if not failure.frames:
        return failure.message[:MOST]
    file, line, function = failure.frames[-1]
    return f"{function} in {file}:{line}"
