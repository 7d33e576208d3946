"""Runs an exercise's DAG in a local Airflow and follows it on the terminal."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from archprep.core.errors import Exit, UsageError
from archprep.core.sanitize import sanitize
from archprep.practice.run.airflow_api import TRANSIENT, AirflowApi, ApiError
from archprep.practice.run.airflow_stack import AirflowStack
from archprep.practice.run.dag_run_follower import FAILED, SUCCESS, DagRunFollower
from archprep.practice.run.listener import bind
from archprep.practice.run.process_group import ProcessGroup, Source
from archprep.sandbox.services import airflow_home

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Runnable

PORT = 8080  # Airflow's default
POLL_SECONDS = 0.5
_COLOURS = {SUCCESS: "green", FAILED: "red", "upstream_failed": "red", "up_for_retry": "yellow"}


def run(
    target: Runnable,
    dags: PurePosixPath,
    source: Source,
    console: Console,
    *,
    once: bool,
    date: str | None,
) -> Exit:
    """Run the DAG in the source's folder `dags`; then stay up until interrupted, unless `once`."""
    assert target.dag is not None
    screen = _Screen(console)
    template = airflow_home.template(screen.say)
    with bind(PORT) as listener, ProcessGroup() as group:
        folder = source(group.folder)
        stack = AirflowStack(group, listener, template, folder, folder / dags)
        screen.say("Starting Airflow. This takes about ten seconds.")
        stack.start_api_server()
        stack.start("scheduler")
        next_run = stack.parse(target, date)
        screen.say(f"The DAG {target.dag} is parsed.")
        api = stack.connect()
        screen.say(f"The UI is at {stack.address}/dags/{target.dag}")
        dag_run = _trigger(api, target.dag, next_run)
        screen.say(_describe(dag_run))
        run_id = dag_run["dag_run_id"]
        follower = DagRunFollower(api, target.dag, run_id, screen.show_task, stack.locate)
        _follow(follower, stack, screen)
        if not once:
            _stay(stack, screen)
        return Exit.PASSED if follower.state == SUCCESS else Exit.NOT_PASSED


def _trigger(api: AirflowApi, dag: str, next_run: dict[str, str]) -> dict[str, Any]:
    try:
        api.patch("dags", dag, body={"is_paused": False})
        body = {"logical_date": None} | next_run
        return dict(api.post("dags", dag, "dagRuns", body=body))
    except ApiError as error:
        raise UsageError(f"Airflow rejects a run of {dag}: {sanitize(str(error), 600)}.") from None


def _describe(dag_run: dict[str, Any]) -> str:
    start, end = dag_run["data_interval_start"], dag_run["data_interval_end"]
    interval = f", data interval {_short(start)} to {_short(end)}" if start else ""
    return f"Run {dag_run['dag_run_id']}{interval}"


def _short(instant: str) -> str:
    return instant.replace("T", " ").removesuffix("Z").removesuffix(":00")


def _follow(follower: DagRunFollower, stack: AirflowStack, screen: _Screen) -> None:
    while not follower.ended:
        stack.wait(POLL_SECONDS)
        with suppress(*TRANSIENT):
            follower.poll()
            if follower.deferred:  # only now: it takes seconds of CPU, and few DAGs need it
                stack.start("triggerer")
    screen.say(follower.summary(), _COLOURS[follower.state])


def _stay(stack: AirflowStack, screen: _Screen) -> None:
    stack.start("dag-processor")
    stack.start("triggerer")
    saving = "" if stack.is_copy else "Airflow parses what you save. "
    screen.say(f"{stack.address} stays up. {saving}Press Ctrl-C to stop.")
    while True:
        stack.wait(POLL_SECONDS)


class _Screen:
    """Prints lines that begin with the time since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def say(self, text: str, style: str = "", note: str = "") -> None:
        from rich.text import Text

        passed = f"{time.monotonic() - self._started:6.1f} s  "
        line = Text.assemble((passed, "dim"), (sanitize(text), style), (sanitize(note), "dim"))
        self._console.print(line, soft_wrap=True)

    def show_task(self, task: str, state: str, note: str) -> None:
        self.say(f"{task:<36} {state}", _COLOURS.get(state, ""), f"  {note}" if note else "")
