"""Small changes to Airflow, in the sandbox: what `dag.test()` cannot do, and what makes it quick.

Each says why. They hold for the version that archprep names; the tests run them for real.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

QUIET_SECONDS = 10.0  # for threads to end
IDLE_ROUNDS = 2  # of the loop in `dag.test()`, in which nothing has changed
_WAITING = {"up_for_reschedule", "up_for_retry", "deferred", "awaiting_input"}


class StuckError(SystemExit):
    """Ends a run whose tasks wait for what will not come: `dag.test()` would wait for ever."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let `owner.name` be `value` as long as the block lasts."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextmanager
def adapted(dag: Any, interval: tuple[str, str] | None) -> Iterator[None]:
    """Let retries be due at once, drop deadlines, which a test run cannot store, set the interval.

    Delays are not set on the tasks: a retry policy's own counts, too, and facts stay what they are.
    """
    from airflow.models import dagrun
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import timezone
    from airflow.sdk.execution_time import supervisor

    create = dagrun.get_or_create_dagrun

    def create_for_interval(**given: Any) -> Any:
        if interval is not None:
            given["data_interval"] = tuple(timezone.parse(date) for date in interval)
        return create(**given)

    with (
        replaced(TaskInstance, "next_retry_datetime", lambda ti: ti.end_date),
        replaced(dag, "deadline", None),
        replaced(dagrun, "get_or_create_dagrun", create_for_interval),
        # It looks itself up in /proc, which may be that of other processes; nothing comes of it.
        replaced(supervisor, "psutil", SimpleNamespace(Process=lambda: None)),
    ):
        yield


@contextmanager
def ending_when_stuck() -> Iterator[None]:
    """Raise StuckError when no task can run, nothing is waited for, and the run is not over.

    A round of `dag.test()` in which no task runs may still mark some, say as skipped, and the next
    of them in the round after. It sleeps then; here it does not.
    """
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions import dag

    update, sleep = DagRun.update_state, time.sleep
    idle = 0
    before: dict[Any, str] = {}

    def update_and_look(run: Any, *args: Any, **given: Any) -> Any:
        nonlocal idle, before
        ready, callback = update(run, *args, **given)
        states = {} if ready else _states(run)
        changed, before = states != before, states
        goes_on = ready or changed or run.state != "running" or _WAITING & set(states.values())
        idle = 0 if goes_on else idle + 1
        if idle == IDLE_ROUNDS:
            raise StuckError(run)
        return ready, callback

    def sleep_if_waiting(seconds: float) -> None:
        caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001
        if caller != dag.__file__ or _WAITING & set(before.values()):
            sleep(seconds)

    with (
        replaced(DagRun, "update_state", update_and_look),
        replaced(time, "sleep", sleep_if_waiting),
    ):
        yield


@contextmanager
def refusing_duplicates() -> Iterator[None]:
    """Refuse two DAGs of one id in one file: Airflow keeps either of them, by chance."""
    from airflow.dag_processing.dagbag import DagBag

    bag_dag = DagBag.bag_dag

    def bag_once(bag: Any, dag: Any) -> None:
        kept = bag.dags.get(dag.dag_id, dag)
        if kept is not dag and kept.fileloc == dag.fileloc:
            raise ValueError(f"there are two DAGs of the id {dag.dag_id}")
        bag_dag(bag, dag)

    with replaced(DagBag, "bag_dag", bag_once):
        yield


def _states(run: Any) -> dict[Any, str]:
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def forget_the_disk() -> None:
    """Let the database not wait until a disk has what it wrote: a fifth of a run at level D."""
    from airflow import settings
    from sqlalchemy import event

    for engine in (settings.engine, settings.async_engine.sync_engine):
        event.listen(engine, "connect", _write_lazily)


def _write_lazily(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


def offer_one_api_version() -> None:
    """Offer the API that tasks talk to in its newest version alone: nine take 3 s more."""
    from airflow.api_fastapi.execution_api import routes, versions
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    router = routes.execution_api_router
    router.routes[:] = [r for r in router.routes if _DELETED_ROUTE_TAG not in r.tags]
    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))


def remember_dependencies() -> None:
    """Let FastAPI analyse once what the API depends on: an eighth of a run's time.

    Where a dependency is overridden, as it is here, FastAPI does so at every request.
    """
    from fastapi.dependencies import utils

    analyse = utils.get_dependant
    known: dict[Any, Any] = {}

    def remembered(**given: Any) -> Any:
        key = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in given.items())
        if key not in known:
            known[key] = analyse(**given)
        return known[key]

    utils.get_dependant = remembered


@contextmanager
def without_idle_threads() -> Iterator[None]:
    """Start no threads that wait a second for subprocesses of tasks: there will be none."""
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    with replaced(InProcessTestSupervisor, "_handle_socket_comms", lambda _: None):
        yield


def come_to_rest() -> None:
    """Stop the API's thread and let go of the database, for a fork; what is cached stays."""
    from airflow import settings
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    del in_process_api_server().transport  # its finalizer ends the thread
    gc.collect()
    settings.Session.remove()
    settings.engine.dispose()
    settings.async_engine.sync_engine.dispose()
    deadline = time.monotonic() + QUIET_SECONDS
    while threading.active_count() > 1:
        if time.monotonic() > deadline:
            raise RuntimeError(f"threads are left: {threading.enumerate()}")
        time.sleep(0.005)
