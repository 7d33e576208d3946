"""Follows one DAG run: each change of a task's state, and how the run ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from archprep.practice.run.airflow_api import TRANSIENT, AirflowApi

SUCCESS, FAILED = "success", "failed"
# The other states are over in a moment.
SHOWN_STATES = {
    "running", SUCCESS, FAILED, "skipped", "upstream_failed", "removed", "deferred",
    "up_for_retry", "up_for_reschedule",
}  # fmt: skip
_FAILURES = {FAILED, "up_for_retry"}

ShowTask = Callable[[str, str, str], None]  # a task's label, its state, and a note
Locate = Callable[[list[tuple[str, int]]], str]  # files and lines -> the candidate's, in words


class DagRunFollower:
    """A DAG run that is polled until it has ended."""

    def __init__(
        self, api: AirflowApi, dag: str, run_id: str, show_task: ShowTask, locate: Locate
    ) -> None:
        self.state = "queued"
        self._api = api
        self._path = ("dags", dag, "dagRuns", run_id)
        self._show_task = show_task
        self._locate = locate
        self._tasks: list[dict[str, Any]] = []
        self._shown: dict[tuple[str, int], tuple[str | None, int]] = {}
        self._seconds = 0.0

    @property
    def deferred(self) -> bool:
        """Whether a task waits for its trigger."""
        return any(task["state"] == "deferred" for task in self._tasks)

    @property
    def ended(self) -> bool:
        """Whether the run has reached its final state."""
        return self.state in {SUCCESS, FAILED}

    def poll(self) -> None:
        """Show what has changed since the last poll, and update the state of the run."""
        # The run before its tasks: once it has ended, they have their final states.
        run = self._api.get(*self._path)
        self._tasks = self._api.get_all(*self._path, "taskInstances", key="task_instances")
        for task in sorted(self._tasks, key=_start_order):
            self._show_change(task)
        self.state, self._seconds = run["state"], run["duration"] or 0.0

    def summary(self) -> str:
        """Return how the run ended, in two sentences."""
        counts = Counter(task["state"] or "not run" for task in self._tasks)
        tasks = ", ".join(f"{n} {state}" for state, n in counts.most_common())
        how = "succeeded" if self.state == SUCCESS else "failed"
        return f"The run {how} after {self._seconds:.1f} s. Tasks: {tasks or 'none'}."

    def _show_change(self, task: dict[str, Any]) -> None:
        key, state, number = (task["task_id"], task["map_index"]), task["state"], task["try_number"]
        if self._shown.get(key) == (state, number):
            return
        self._shown[key] = (state, number)
        if state in SHOWN_STATES:
            notes = [f"try {number}"] if number > 1 else []
            if state in _FAILURES:
                notes.append(self._error(task))
            self._show_task(_label(task), state, ", ".join(filter(None, notes)))

    def _error(self, task: dict[str, Any]) -> str:
        """The exception that ended a task and the candidate's lines, from the task's log."""
        number, index = str(max(task["try_number"], 1)), task["map_index"]
        path = (*self._path, "taskInstances", task["task_id"], "logs", number)
        log: dict[str, Any] = {"content": []}
        with suppress(*TRANSIENT):
            log = self._api.get(*path, map_index=index, full_content="true")
        for line in reversed(log["content"]):
            if errors := line.get("error_detail"):
                frames = [(frame["filename"], frame["lineno"]) for frame in errors[0]["frames"]]
                what = f"{errors[0]['exc_type']}: {errors[0]['exc_value']}"
                return ", ".join(filter(None, (what, self._locate(frames))))
        return ""


def _start_order(task: dict[str, Any]) -> tuple[str, int]:
    return task["start_date"] or "~", task["map_index"]


def _label(task: dict[str, Any]) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} [{task['rendered_map_index'] or task['map_index']}]"
