"""An exercise's DAG in a local Airflow: triggered, followed to its end, open to be looked at."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from archprep.core.errors import Exit, UsageError
from archprep.core.sanitize import sanitize
from archprep.practice.run.address import bound
from archprep.practice.run.airflow_api import PASSING, Api, ApiError
from archprep.practice.run.airflow_component import API_SERVER
from archprep.practice.run.airflow_stack import Stack
from archprep.practice.run.dag_run_follower import FAILED, SUCCESS, Following
from archprep.practice.run.process_group import Group, Source
from archprep.sandbox.services import airflow_home

if TYPE_CHECKING:
    from rich.console import Console

    from archprep.core.model import Runnable

PORT = 8080  # Airflow's own, if it is free
LOOK_SECONDS = 0.5
LOOK_AROUND_SECONDS = 2.0
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
    """Run the DAG of a source's folder `dags`; stay up until interrupted, unless `once`."""
    assert target.dag is not None
    screen = _Screen(console)
    template = airflow_home.template(screen.say)
    with bound(PORT) as listener, Group(screen.say, listener) as group:
        folder = source(group.room)
        stack = Stack(group, listener, template, folder, folder / dags)
        screen.say("Starting Airflow: scheduler, API server. This takes some ten seconds.")
        stack.start(API_SERVER, str(listener.fileno()))
        stack.start("scheduler", "--skip-serve-logs")
        wanted = stack.parse(target, date)
        screen.say(f"The DAG {target.dag} is parsed.")
        api = stack.connect()
        screen.say(f"The UI is at {stack.address}/dags/{target.dag}")
        desk = _Desk(stack, api, target.dag, screen)
        desk.follow(_triggered(api, target.dag, wanted))
        return desk.first_run() if once else desk.stay()


def _triggered(api: Api, dag: str, wanted: dict[str, str]) -> dict[str, Any]:
    try:
        api.patch("dags", dag, body={"is_paused": False})
        body = {"logical_date": None} | wanted
        return dict(api.post("dags", dag, "dagRuns", body=body))
    except ApiError as e:
        raise UsageError(f"Airflow does not run {dag}: {sanitize(str(e), 600)}.") from None


class _Screen:
    """What is said, each line with the time since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def say(self, text: str, style: str = "", note: str = "") -> None:
        from rich.text import Text

        passed = f"{time.monotonic() - self._started:6.1f} s  "
        line = Text.assemble((passed, "dim"), (sanitize(text), style), (sanitize(note), "dim"))
        self._console.print(line, soft_wrap=True)

    def tell(self, task: str, state: str, note: str) -> None:
        """Show the state of a task."""
        self.say(f"{task:<36} {state}", _COLOURS.get(state, ""), f"  {note}" if note else "")


class _Desk:
    """Follows the runs of one DAG, also those that are triggered in the UI."""

    def __init__(self, stack: Stack, api: Api, dag: str, screen: _Screen) -> None:
        self._stack = stack
        self._api = api
        self._dag = dag
        self._screen = screen
        self._runs: dict[str, Following] = {}
        self._errors: dict[str, str] = {}
        self._triggers = False

    def follow(self, run: dict[str, Any]) -> Following:
        """Tell of a run that begins."""
        name = run["dag_run_id"]
        start, end = run["data_interval_start"], run["data_interval_end"]
        interval = f", data interval {_short(start)} to {_short(end)}" if start else ""
        self._screen.say(f"Run {name}{interval}")
        place = self._stack.place
        following = Following(self._api, self._dag, name, self._screen.tell, place)
        self._runs[name] = following
        return following

    def first_run(self) -> Exit:
        """Follow until nothing goes on any more."""
        (run,) = self._runs.values()
        while not run.ended:
            self._step()
        return Exit.PASSED if run.state == SUCCESS else Exit.NOT_PASSED

    def stay(self) -> NoReturn:
        """Follow whatever happens until interrupted."""
        self.first_run()
        self._stack.start("dag-processor")
        self._start_triggerer()
        self._screen.say(f"{self._stack.address} stays up. {self._stack.saving}Ctrl-C ends it.")
        looked = 0.0
        while True:
            self._step()
            if time.monotonic() - looked > LOOK_AROUND_SECONDS:
                with suppress(*PASSING):
                    self._look_around()
                looked = time.monotonic()

    def _step(self) -> None:
        self._stack.wait(LOOK_SECONDS)
        for run in self._runs.values():
            if run.ended:
                continue
            with suppress(*PASSING):
                over = run.look()
                if run.deferred:
                    self._start_triggerer()
                if over:
                    self._screen.say(run.summary(), _COLOURS[run.state])
        self._stack.spare(any(not run.ended for run in self._runs.values()))

    def _start_triggerer(self) -> None:
        """Only now: starting takes seconds of both cores, and few DAGs have work for it."""
        if not self._triggers:
            self._triggers = True
            self._stack.start("triggerer", "--skip-serve-logs")

    def _look_around(self) -> None:
        """See what was triggered, cleared or saved meanwhile."""
        for run in self._api.pages("dags", self._dag, "dagRuns", found="dag_runs"):
            known = self._runs.get(run["dag_run_id"]) or self.follow(run)
            known.state = run["state"] if known.ended else known.state
        found = self._api.pages("importErrors", found="import_errors")
        errors = {error["filename"]: error["stack_trace"] for error in found}
        for file, trace in errors.items():
            if self._errors.get(file) != trace:
                self._screen.say(self._stack.explain(file, trace), "red")
        for file in self._errors.keys() - errors.keys():
            self._screen.say(f"{file} can be imported again.")
        self._errors = errors


def _short(instant: str) -> str:
    return instant.replace("T", " ").removesuffix("Z").removesuffix(":00")
