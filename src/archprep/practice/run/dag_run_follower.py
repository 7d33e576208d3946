"""One DAG run as it goes on: each change of a task's state, and how the run ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from archprep.practice.run.airflow_api import PASSING, Api

SUCCESS, FAILED = "success", "failed"
# Of the others nothing is said: they are over in a moment.
TOLD = {
    "running", SUCCESS, FAILED, "skipped", "upstream_failed", "removed", "deferred",
    "up_for_retry", "up_for_reschedule",
}  # fmt: skip
_BROKEN = {FAILED, "up_for_retry"}

Tell = Callable[[str, str, str], None]  # a task, its state, and what there is to say about it
Place = Callable[[list[tuple[str, int]]], str]  # of files and lines, the candidate's


class Following:
    """A run that is watched until it has ended."""

    def __init__(self, api: Api, dag: str, run: str, tell: Tell, place: Place) -> None:
        self.run = run
        self.state = "queued"
        self._api = api
        self._path = ("dags", dag, "dagRuns", run)
        self._tell = tell
        self._place = place
        self._tasks: list[dict[str, Any]] = []
        self._last: dict[tuple[str, int], tuple[str | None, int]] = {}
        self._seconds = 0.0

    @property
    def deferred(self) -> bool:
        """Whether a task waits for its trigger."""
        return any(task["state"] == "deferred" for task in self._tasks)

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in {SUCCESS, FAILED}

    def look(self) -> bool:
        """Tell what has changed since the last look; whether the run has ended."""
        run = self._api.get(*self._path)  # first: what has ended has told all of its tasks
        self._tasks = self._api.pages(*self._path, "taskInstances", found="task_instances")
        for task in sorted(self._tasks, key=_begun):
            self._note(task)
        self.state, self._seconds = run["state"], run["duration"] or 0.0
        return self.ended

    def summary(self) -> str:
        """How it ended, in one sentence."""
        counts = Counter(task["state"] or "not run" for task in self._tasks)
        tasks = ", ".join(f"{n} {state}" for state, n in counts.most_common())
        how = "succeeded" if self.state == SUCCESS else "failed"
        return f"The run {how} after {self._seconds:.1f} s. Tasks: {tasks or 'none at all'}."

    def _note(self, task: dict[str, Any]) -> None:
        key, state, number = (task["task_id"], task["map_index"]), task["state"], task["try_number"]
        if self._last.get(key) == (state, number):
            return
        self._last[key] = (state, number)
        if state in TOLD:
            notes = [f"try {number}"] if number > 1 else []
            if state in _BROKEN:
                notes.append(self._why(task))
            self._tell(_label(task), state, ", ".join(filter(None, notes)))

    def _why(self, task: dict[str, Any]) -> str:
        """The exception that ended a task, and the candidate's line, from its log."""
        number, index = str(max(task["try_number"], 1)), task["map_index"]
        path = (*self._path, "taskInstances", task["task_id"], "logs", number)
        log: dict[str, Any] = {"content": []}
        with suppress(*PASSING):
            log = self._api.get(*path, map_index=index, full_content="true")
        for line in reversed(log["content"]):
            if errors := line.get("error_detail"):
                frames = [(frame["filename"], frame["lineno"]) for frame in errors[0]["frames"]]
                what = f"{errors[0]['exc_type']}: {errors[0]['exc_value']}"
                return ", ".join(filter(None, (what, self._place(frames))))
        return ""


def _begun(task: dict[str, Any]) -> tuple[str, int]:
    return task["start_date"] or "~", task["map_index"]


def _label(task: dict[str, Any]) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} [{task['rendered_map_index'] or task['map_index']}]"
