"""Patches of Airflow in the sandbox: what `dag.test()` cannot do, and what makes it faster.

They work for the one version that archprep supports; the tests run them with the real Airflow.
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

THREAD_EXIT_SECONDS = 10.0
IDLE_ROUNDS = 2  # of the loop in `dag.test()`, without any change
_WAITING = {"up_for_reschedule", "up_for_retry", "deferred", "awaiting_input"}


class StuckError(SystemExit):
    """Stops a run whose tasks can never start: `dag.test()` would wait forever."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set `owner.name` to `value` for the duration of the block."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextmanager
def patched_for_run(dag: Any, interval: tuple[str, str] | None) -> Iterator[None]:
    """Retry at once, drop deadlines, which a test run cannot store, and set the interval.

    The tasks' own delays stay as they are: probes report them, and a retry policy has its own.
    """
    from airflow.models import dagrun
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import timezone
    from airflow.sdk.execution_time import supervisor

    create = dagrun.get_or_create_dagrun

    def create_for_interval(**options: Any) -> Any:
        if interval is not None:
            options["data_interval"] = tuple(timezone.parse(date) for date in interval)
        return create(**options)

    with (
        replaced(TaskInstance, "next_retry_datetime", lambda ti: ti.end_date),
        replaced(dag, "deadline", None),
        replaced(dagrun, "get_or_create_dagrun", create_for_interval),
        # It looks itself up in /proc, which may show other processes; the result is unused.
        replaced(supervisor, "psutil", SimpleNamespace(Process=lambda: None)),
    ):
        yield


@contextmanager
def stopping_when_stuck() -> Iterator[None]:
    """Raise StuckError if no task can run or is waiting although the run is not over.

    A round of `dag.test()` that runs no task may still change states, for example to skipped,
    and the next round more of them. `dag.test()` sleeps after such rounds; here it does not.
    """
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions import dag

    update, sleep = DagRun.update_state, time.sleep
    idle = 0
    before: dict[Any, str] = {}

    def update_and_check(run: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal idle, before
        ready, callback = update(run, *args, **kwargs)
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
        replaced(DagRun, "update_state", update_and_check),
        replaced(time, "sleep", sleep_if_waiting),
    ):
        yield


@contextmanager
def refusing_duplicates() -> Iterator[None]:
    """Refuse two DAGs with the same id in one file: Airflow would keep one of them at random."""
    from airflow.dag_processing.dagbag import DagBag

    bag_dag = DagBag.bag_dag

    def bag_once(bag: Any, dag: Any) -> None:
        kept = bag.dags.get(dag.dag_id, dag)
        if kept is not dag and kept.fileloc == dag.fileloc:
            raise ValueError(f"two DAGs have the id {dag.dag_id}")
        bag_dag(bag, dag)

    with replaced(DagBag, "bag_dag", bag_once):
        yield


def _states(run: Any) -> dict[Any, str]:
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def disable_fsync() -> None:
    """Keep the database from waiting for the disk, which takes a fifth of a run at level D."""
    from airflow import settings
    from sqlalchemy import event

    for engine in (settings.engine, settings.async_engine.sync_engine):
        event.listen(engine, "connect", _set_synchronous_off)


def _set_synchronous_off(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


def offer_one_api_version() -> None:
    """Offer only the newest version of the API that tasks use: all nine take 3 s longer."""
    from airflow.api_fastapi.execution_api import routes, versions
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    router = routes.execution_api_router
    router.routes[:] = [r for r in router.routes if _DELETED_ROUTE_TAG not in r.tags]
    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))


def cache_dependencies() -> None:
    """Make FastAPI analyse the API's dependencies once, which saves an eighth of a run's time.

    If a dependency is overridden, as here, FastAPI analyses them for every request.
    """
    from fastapi.dependencies import utils

    analyse = utils.get_dependant
    known: dict[Any, Any] = {}

    def analyse_once(**options: Any) -> Any:
        key = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in options.items())
        if key not in known:
            known[key] = analyse(**options)
        return known[key]

    utils.get_dependant = analyse_once


@contextmanager
def without_idle_threads() -> Iterator[None]:
    """Start no threads that wait a second for tasks' subprocesses: there are none."""
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    with replaced(InProcessTestSupervisor, "_handle_socket_comms", lambda _: None):
        yield


def prepare_to_fork() -> None:
    """Stop the API's thread and close database connections; caches stay filled."""
    from airflow import settings
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    del in_process_api_server().transport  # its finalizer ends the thread
    gc.collect()
    settings.Session.remove()
    settings.engine.dispose()
    settings.async_engine.sync_engine.dispose()
    deadline = time.monotonic() + THREAD_EXIT_SECONDS
    while threading.active_count() > 1:
        if time.monotonic() > deadline:
            raise RuntimeError(f"threads did not end: {threading.enumerate()}")
        time.sleep(0.005)
