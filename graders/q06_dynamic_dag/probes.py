"""Parses the candidate's DAG file, and runs the DAG against the judge's platform.

The platform_api that the file imports is the one below: the functions of the starter's, whose
calls are answered by the judge. Nothing here knows what is right.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC
from pathlib import Path

from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from archprep.worker import airflow, airflow_structure, exceptions, own_modules, scenario
from archprep.worker.stubs import FakeError

DAG_ID = "multi_tenant_pipeline"
VARIABLE = "AIRFLOW_VAR_ACTIVE_TENANTS"
NOTHING = {"fetch": [], "read": [], "staged": [], "stage": "nothing"}
CONNECTS = {"socket.connect": "the network", "sqlite3.connect": "a database"}

# Who asks while a file is parsed gets an answer, and is noticed.
os.environ[VARIABLE] = '["somebody", "somebody else"]'
_asked: list[str] = []
_parsing: list[bool] = []  # while it is not empty
_bound: list = []  # the platform, while a run is under way


# -- the platform


class Transient(Exception):
    """It did not work this time. The same call may work a little later."""


class Permanent(Exception):
    """It does not work, and it will not, however often it is tried."""


def fetch(tenant, start, end):
    return _call("fetch", tenant, _instant(start), _instant(end))


def stage(tenant, start, rows):
    return _call("stage", tenant, _instant(start), list(rows))


def read(ref):
    return _call("read", ref)


def begin_partition(tenant, start):
    _call("begin_partition", tenant, _instant(start))


def write(tenant, start, end, rows):
    _call("write", tenant, _instant(start), _instant(end), list(rows))


def release(ref):
    _call("release", ref)


def staged():
    return _call("staged")


def alert(run_key, tenants):
    _call("alert", run_key, list(tenants))


def _call(name, *arguments):
    if not _bound:
        _asked.append(f"platform_api.{name}")
        return NOTHING.get(name)
    try:
        return getattr(_bound[-1], name)(*arguments)
    except FakeError as e:
        kind, _, text = str(e).partition(" ")
        error = {"transient": Transient, "permanent": Permanent}.get(kind)
        raise error(text) if error else ValueError(str(e)) from None


def _instant(at):
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: which instant is it?")
    return at.astimezone(UTC).isoformat()


def _offer_platform():
    api = own_modules.stand_in("platform_api")
    functions = (fetch, stage, read, begin_partition, write, release, staged, alert)
    for thing in (Transient, Permanent, *functions):
        thing.__module__ = "platform_api"
        setattr(api, thing.__name__, thing)
    api.Row = dict


# -- what is asked for while a file is parsed


def _noticed(read, kind):
    def read_noticed(self, key, *more, **named):
        _asked.append(f"the {kind} {key}")
        return read(self, key, *more, **named)

    return read_noticed


def _notice(event, _):
    if _parsing and event in CONNECTS:
        _asked.append(CONNECTS[event])


sys.addaudithook(_notice)
_offer_platform()
for _name, _kind in (("get_variable", "Variable"), ("get_conn_value", "connection")):
    _read = getattr(EnvironmentVariablesBackend, _name)
    setattr(EnvironmentVariablesBackend, _name, _noticed(_read, _kind))


def _set_variable(value):
    os.environ.pop(VARIABLE, None)
    if value is not None:
        os.environ[VARIABLE] = value


# -- parsing

PLAIN = '''
"""As many tasks and functions as any other DAG of this shape has: airflow, dag.

Nothing is done while this is parsed, but that the DAG is put together.
"""
from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pendulum
import platform_api
from airflow.sdk import (
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    Variable,
    XComArg,
    dag,
    get_current_context,
    task,
    task_group,
    teardown,
)
from airflow.sdk.exceptions import AirflowFailException

LABEL = "{{ task.op_kwargs.one }}"
POLICY = ExceptionRetryPolicy([RetryRule([KeyError], RetryAction.FAIL, reason="no use")])


@task
def first() -> list[str]:
    """Nobody."""
    return json.loads(Variable.get("plain", default="[]"))


@task_group
def group(one: str) -> XComArg:
    """Three steps."""
    begun = begin(one=one)
    gone_on = go_on(one=one, more=begun)
    return end(one=one, more=gone_on)


@task(map_index_template=LABEL)
def begin(one: str) -> str:
    """The first."""
    return one


@task(map_index_template=LABEL)
def go_on(one: str, more: str) -> str:
    """The second."""
    return more + one


@task(map_index_template=LABEL, max_active_tis_per_dag=2)
def end(one: str, more: str) -> str:
    """The third."""
    return more + one


@task(trigger_rule=TriggerRule.ALL_DONE)
def total(given: list[str] | None) -> None:
    """Find nothing."""
    if given is None:
        raise AirflowFailException(f"nothing is there: {given!r}")


@teardown
def last() -> None:
    """Leave nothing."""
    for ref in pulled("group.begin", "group.go_on"):
        platform_api.release(ref)


@dag(
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 5 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    tags=["plain", "small"],
    default_args={
        "owner": "somebody",
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "retry_policy": POLICY,
    },
)
def plain() -> None:
    """Put it together."""
    given = first()
    group.expand(one=given) >> total(given) >> last()


def pulled(*task_ids: str) -> list[Any]:
    values = get_current_context()["ti"].xcom_pull(task_ids=task_ids)
    return [value for value in values if value is not None]


def added(amounts: Iterable[str]) -> Decimal:
    return sum((Decimal(amount) for amount in amounts), Decimal(0))


def now(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(timezone.utc)


plain()
'''


def parse(clock, variables):
    """Parse the file with each of these values of the Variable, then by the judge's clock."""
    told = []
    for value in variables:
        _set_variable(value)
        _asked.clear()
        _parsing.append(True)
        dag = _loaded()
        _parsing.clear()
        asked = sorted(set(_asked))
        group = dag.task_group_dict.get("process_tenant")
        told.append(
            airflow_structure.of_dag(dag)
            | {
                "serialised": airflow_structure.serialised(dag),
                "asked": asked,
                "mapped_over": sorted({t.task_id for t in group.iter_mapped_dependencies()})
                if hasattr(group, "iter_mapped_dependencies")
                else [],
            }
        )
    _time_parsing(clock)
    return told


def _time_parsing(clock):
    """In turn with a plain DAG: what slows the machine down slows both."""
    folder = Path.cwd() / "plain"
    folder.mkdir()
    (folder / "plain.py").write_text(PLAIN)
    goes_on = True
    while goes_on:
        clock.tick("plain")
        airflow.load(str(folder))
        clock.tick("yours")
        _loaded()
        goes_on = clock.tick("")


def _loaded():
    dags = airflow.load(f"{scenario.root}/dags")
    if DAG_ID not in dags:
        raise LookupError(f"the file makes no DAG of the id {DAG_ID}, but {sorted(dags) or 'none'}")
    return dags[DAG_ID]


# -- running


def play(platform, runs):
    """Run the DAG once for each of `runs`, one after another, in one database."""
    airflow.create_home()
    dag = _loaded()
    return [_play_one(platform, dag, number, **run) for number, run in enumerate(runs)]


def _play_one(platform, dag, number, variable, logical_date, run_after, interval):
    _set_variable(variable)
    platform.begin_run(number)
    _bound.append(platform)
    try:
        return airflow.run(dag, logical_date=logical_date, run_after=run_after, interval=interval)
    except NotImplementedError as e:
        if not platform.has_been_called():
            raise
        return _as_far_as_it_got(e)
    finally:
        _bound.clear()
        platform.end_run(number)


def _as_far_as_it_got(error):
    """Tell the run that a task has ended which is still to be written."""
    from airflow import settings
    from airflow.models.dagrun import DagRun

    settings.Session.remove()
    run = max(DagRun.find(dag_id=DAG_ID), key=lambda run: run.id)
    where = {"task": None, "map_index": -1, "callback": None}
    return airflow_structure.of_run(run) | {
        "failures": [where | exceptions.describe(error, scenario.root)]
    }
