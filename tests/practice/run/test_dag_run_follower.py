"""The states of a DAG run's tasks are shown as they change."""

from __future__ import annotations

from typing import Any

from archprep.practice.run.dag_run_follower import DagRunFollower


class FakeApi:
    """Answers as Airflow would, poll by poll."""

    def __init__(self, *polls: tuple[str, list[dict[str, Any]]], log: list[Any] | None = None):
        self._polls = list(polls)
        self._log = log or []

    def get(self, *path: str, **query: Any) -> Any:
        if path[-2] == "logs":
            return {"content": self._log}
        return {"state": self._polls[0][0], "duration": 2.5}

    def get_all(self, *path: str, key: str) -> Any:
        return self._polls.pop(0)[1]


def task(name: str, state: str | None, **more: Any) -> dict[str, Any]:
    base = {"map_index": -1, "rendered_map_index": None, "try_number": 1, "start_date": None}
    return {"task_id": name, "state": state} | base | more


def followed(api: FakeApi) -> tuple[DagRunFollower, list[tuple[str, str, str]]]:
    shown: list[tuple[str, str, str]] = []

    def locate(frames: list[tuple[str, int]]) -> str:
        return f"line {frames[-1][1]}"

    follower = DagRunFollower(api, "d", "r", lambda *task: shown.append(task), locate)
    while not follower.ended:
        follower.poll()
    return follower, shown


def test_each_change_of_a_state_is_shown_once():
    """In the order in which the tasks started; short-lived states are not shown."""
    first = [task("b", "running", start_date="2"), task("a", "success", start_date="1")]
    second = [task("b", "success", start_date="2"), task("a", "success", start_date="1")]
    api = FakeApi(("running", [task("a", "queued")]), ("running", first), ("success", second))
    follower, shown = followed(api)
    assert shown == [("a", "success", ""), ("b", "running", ""), ("b", "success", "")]
    assert follower.summary() == "The run succeeded after 2.5 s. Tasks: 2 success."


def test_a_dag_without_tasks_says_so():
    """Rather than leaving the list empty."""
    follower, _ = followed(FakeApi(("success", [])))
    assert follower.summary().endswith("Tasks: none.")


def test_mapped_tasks_are_named_by_their_labels():
    """By the rendered map index, else by its number."""
    tasks = [task("t", "success", map_index=i, rendered_map_index=n) for i, n in enumerate("ab")]
    tasks.append(task("t", "success", map_index=2))
    assert [t for t, *_ in followed(FakeApi(("success", tasks)))[1]] == ["t [a]", "t [b]", "t [2]"]


def test_each_failed_try_shows_its_exception():
    """From the task's log, with the candidate's line."""
    frames = [{"filename": "x.py", "lineno": 3}]
    detail = [{"exc_type": "ValueError", "exc_value": "no", "frames": frames}]
    log = [{"event": "x"}, {"event": "failed", "error_detail": detail}, {"event": "y"}]
    api = FakeApi(
        ("running", [task("a", "up_for_retry")]),
        ("failed", [task("a", "failed", try_number=2)]),
        log=log,
    )
    follower, shown = followed(api)
    assert shown == [
        ("a", "up_for_retry", "ValueError: no, line 3"),
        ("a", "failed", "try 2, ValueError: no, line 3"),
    ]
    assert follower.summary() == "The run failed after 2.5 s. Tasks: 1 failed."
