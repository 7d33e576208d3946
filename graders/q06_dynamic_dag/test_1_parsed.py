"""Tasks 1 and 2: what the parsed DAG says of itself, and how it is parsed; nothing of it runs."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from archprep.grading import criterion, expect, exposed, fake, scenario

from .plays import STEPS, TASKS, names
from .words import listed

SECONDS = 12.0  # for the scenario; it takes one
MEASURING = 5.0  # of these at most
SLOWER = 4  # times as long as a plain DAG
MINUTE = 60.0
START = datetime.fromisoformat("2024-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Task:
    """What a task says of itself."""

    task_id: str
    owner: str
    retries: int | None
    retry_delay: float | None
    retry_exponential_backoff: float
    max_retry_delay: float | None
    execution_timeout: float | None
    pool: str
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    mapped_group: str | None


@dataclass(frozen=True)
class Parsed:
    """What one parse of the file led to."""

    timetable: dict[str, Any]
    start_date: str | None
    catchup: bool
    max_active_runs: int
    tags: list[str]
    tasks: list[Task]
    serialised: str
    asked: list[str]
    mapped_over: list[str]

    @property
    def task_ids(self) -> set[str]:
        return {task.task_id for task in self.tasks}

    @property
    def lacks(self) -> list[str]:
        """Which of the six tasks are not there, as sentences."""
        if not self.tasks:
            return ["the DAG has no tasks"]
        missing = [name for name in TASKS if name not in self.task_ids]
        return [f"there is no task {listed(missing)}"] if missing else []


class Clock:
    """The judge's: what is between two ticks was not measured by the one who is measured."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self._began = self._last = 0.0
        self._what = ""

    @exposed
    def tick(self, what: str) -> bool:
        """Note how long what came last has taken; tell whether to go on."""
        now = time.monotonic()
        if self._what:
            self.took[self._what].append(now - self._last)
        self._began = self._began or now
        self._what, self._last = what, time.monotonic()
        late = now - self._began > MEASURING
        return bool(what) or not (late or self.is_quick)

    @property
    def rounds(self) -> int:
        return min(len(self.took["yours"]), len(self.took["plain"]))

    @property
    def is_quick(self) -> bool:
        """The least of many counts: no other program can make it smaller."""
        return self.rounds > 1 and min(self.took["yours"]) <= SLOWER * min(self.took["plain"])


@dataclass
class Parsing:
    """The file, parsed under several values of the Variable, and by the clock."""

    variables: list[str | None]
    parsed: list[Parsed]
    clock: Clock = field(default_factory=Clock)

    @property
    def dag(self) -> Parsed:
        expect(
            bool(self.parsed),
            expected="the file makes the DAG multi_tenant_pipeline",
            observed="there was none",
        )
        return self.parsed[0]


@scenario
def parsing(candidate, rng):
    variables = [json.dumps(names(rng, 3)), None, json.dumps(names(rng, 2))]
    clock = Clock()
    parsed = candidate.observe(
        "parse",
        clock=fake(clock),
        variables=variables,
        returns=list[Parsed],
        seconds=SECONDS,
        given="dags/multi_tenant_pipeline.py is parsed again and again; there is no metadata "
        "database and no platform",
    )
    return Parsing(variables, parsed, clock)


def demand(expected: str, problems: list[str], given: str | None = None) -> None:
    expect(not problems, expected=expected, observed="; ".join(problems), given=given)


@criterion("The DAG has its tasks, schedule, tags and owners", task=1, points=5, hint="shape")
def test_shape(parsing):
    dag = parsing.dag
    demand(
        "the DAG and its tasks are as the first table of task 1 says", [*_tasks(dag), *_shape(dag)]
    )


def _tasks(dag):
    yield from dag.lacks
    if more := sorted(dag.task_ids - set(TASKS)):
        yield f"there is {listed(more)}, which is none of the six"


def _shape(dag):
    table = dag.timetable
    name, cron, zone = (str(table.get(key)) for key in ("type", "expression", "timezone"))
    if name != "CronDataIntervalTimetable":
        why = ", whose data intervals are empty" if name == "CronTriggerTimetable" else ""
        yield f"the schedule is a {name}{why}"
    elif (cron, zone.upper()) not in (("0 2 * * *", "UTC"), ("0 2 * * *", "ETC/UTC")):
        yield f"the schedule is {cron!r} in {zone}"
    if not _is_start(dag.start_date):
        yield f"the start date is {dag.start_date}"
    if dag.catchup is not False:
        yield "missed runs are caught up"
    if dag.max_active_runs != 1:
        yield f"there may be {dag.max_active_runs} runs at a time"
    for prefix in ("team-", "domain-", "env-"):
        if not any(tag.startswith(prefix) and tag != prefix for tag in dag.tags):
            yield f"no tag begins with {prefix}"
    if nobody := [t.task_id for t in dag.tasks if t.owner.strip().lower() in ("", "airflow")]:
        yield f"the owner of {listed(nobody)} is Airflow's default"


def _is_start(text):
    try:
        return datetime.fromisoformat(text) == START
    except (TypeError, ValueError):
        return False


@criterion(
    "Every task but cleanup is retried with growing pauses", task=1, points=5, hint="retries"
)
def test_retries(parsing):
    dag = parsing.dag
    wrong = {t.task_id: listed(_retries(t), "") for t in dag.tasks if t.task_id != "cleanup"}
    demand(
        "3 retries after pauses that begin with 5 minutes, grow exponentially and are at most 30 "
        "minutes; an attempt may take 2 hours",
        [*dag.lacks, *(f"{name}: {what}" for name, what in wrong.items() if what)],
    )


def _retries(task):
    if task.retries != 3:
        yield f"{task.retries} retries"
    if task.retry_delay != 5 * MINUTE:
        yield f"the first pause is {_minutes(task.retry_delay)}"
    if not task.retry_exponential_backoff > 1:
        yield "pauses do not grow"
    if task.max_retry_delay is None or not 5 * MINUTE <= task.max_retry_delay <= 30 * MINUTE:
        yield f"the longest pause is {_minutes(task.max_retry_delay)}"
    if task.execution_timeout != 120 * MINUTE:
        yield f"the time limit is {_minutes(task.execution_timeout)}"


def _minutes(seconds):
    return "not limited" if seconds is None else f"{seconds / MINUTE:g} minutes"


@criterion("Parsing reads nothing and gives the same DAG", task=1, points=5, hint="pure-parse")
def test_pure_parse(parsing):
    first = parsing.dag
    demand(
        "the DAG has its six tasks, without having asked anybody for anything",
        first.lacks,
        _variable(parsing.variables[0]),
    )
    for variable, dag in zip(parsing.variables, parsing.parsed, strict=False):
        expect(
            not dag.asked,
            expected="while the file is parsed, nobody is asked for anything",
            observed=f"it asked for {listed(dag.asked)}",
            given=_variable(variable),
        )
        expect(
            dag.serialised == first.serialised,
            expected="the file makes the same DAG each time, whatever the Variable holds",
            observed=_other(first, dag),
            given=f"first with {_variable(parsing.variables[0])}, then with {_variable(variable)}",
        )
    _expect_quick(parsing.clock)


def _expect_quick(clock):
    expect(clock.rounds > 0, expected="the file is parsed", observed="it was not")
    yours, plain = (1000 * min(clock.took[which]) for which in ("yours", "plain"))
    expect(
        clock.is_quick,
        expected=f"parsing takes at most {SLOWER} times as long as putting such a DAG together",
        observed=f"it took {yours:.0f} ms at best, and {plain:.0f} ms for a plain DAG of six tasks",
        given=f"both were parsed {clock.rounds} times, in turn",
    )


def _variable(value):
    return (
        "no Variable active_tenants" if value is None else f"active_tenants = {json.loads(value)!r}"
    )


def _other(first, dag):
    if first.task_ids != dag.task_ids:
        before, after = (listed(sorted(parsed.task_ids), "none") for parsed in (first, dag))
        return f"other tasks: first {before}, then {after}"
    if first.start_date != dag.start_date:
        return f"another start date: first {first.start_date}, then {dag.start_date}"
    pairs = zip(first.serialised, dag.serialised, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(first.serialised))
    a, b = (text[max(0, at - 60) : at + 60] for text in (first.serialised, dag.serialised))
    return f"as Airflow keeps it, it was … {a} …, and then … {b} …"


@criterion("At most four loads write at a time", task=2, points=3, hint="cap")
def test_cap(parsing):
    load = next((task for task in parsing.dag.tasks if task.task_id == STEPS[-1]), None)
    expect(
        load is not None,
        expected="at most 4 instances of process_tenant.load run at a time",
        observed="there is no task process_tenant.load",
    )
    caps = [load.max_active_tis_per_dag, load.max_active_tis_per_dagrun]
    expect(
        load.pool == "warehouse" or any(cap is not None and 1 <= cap <= 4 for cap in caps),
        expected="load has a max_active_tis_per_dag or max_active_tis_per_dagrun of at most 4, or "
        "the pool warehouse",
        observed=f"its pool is {load.pool!r}, max_active_tis_per_dag is {caps[0]} and "
        f"max_active_tis_per_dagrun is {caps[1]}",
    )
