"""Airflow for probes: warmed up before the fork, a home per scenario, and DAG runs.

Airflow is imported inside functions, because it may not be installed where this module is
imported. A run uses `dag.test()` in this process and returns plain data.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from . import airflow_patches, airflow_run_log, airflow_structure

HOME = "AIRFLOW_HOME"
TEMPLATE = "ARCHPREP_AIRFLOW_TEMPLATE"  # the path of a migrated, empty metadata database

_WARM_DATE = "2025-01-01T00:00:00+00:00"
_WARM_DAG = '''
"""Uses what DAGs use, so that it is compiled and cached: airflow, dag."""
from airflow.sdk import DAG, Variable, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

with DAG("warm", schedule=None) as dag:

    @task
    def several():
        return Variable.get("warm", deserialize_json=True, default=[1, 2])

    @task(retries=1, map_index_template="{{ label }}", on_failure_callback=lambda context: None)
    def flaky(number, ti=None):
        get_current_context()["label"] = str(number)
        if number == 2:
            raise AirflowFailException("for good")
        if ti.try_number == 1:
            raise ValueError("once")
        return {"number": number}

    @task
    def after(value):
        return value

    @task_group
    def each(number):
        return after(flaky(number))

    @task(trigger_rule="all_done")
    def total(ti=None):
        return list(ti.xcom_pull(task_ids="each.after") or [])

    @task
    def skipped():
        raise AirflowSkipException

    @task
    def cleanup():
        pass

    numbers = several()
    each.expand(number=numbers) >> total() >> skipped() >> cleanup().as_teardown(setups=numbers)
'''


def warm_up() -> None:
    """Run a small DAG before the fork, so that importing, compiling and caching happen once.

    Leaves one thread, no database connection and no file.
    """
    home, path = os.environ[HOME], list(sys.path)
    signals = (signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM)
    handlers = [(number, signal.getsignal(number)) for number in signals]
    gc.disable()  # hardly anything becomes garbage
    gc.freeze()  # keeps what was imported out of the one collection to come
    _use_home(home)
    airflow_patches.offer_one_api_version()
    airflow_patches.cache_dependencies()
    with airflow_patches.without_idle_threads():
        _run_warm_dag(os.path.join(home, "dags"))
    airflow_patches.prepare_to_fork()
    for number, handler in handlers:
        signal.signal(number, handler)
    sys.path[:] = path
    shutil.rmtree(home)
    gc.freeze()
    gc.enable()


def create_home() -> None:
    """Give the scenario its own metadata database, in the folder `airflow` where it runs."""
    _use_home(os.path.abspath("airflow"))


def load(folder: str, *, tolerant: bool = False) -> dict[str, Any]:
    """Return the DAGs of a folder, by id. Before `create_home()` there is no metadata database.

    Raises what a file raises, unless `tolerant`: then the DAGs of that file are missing.
    """
    from pathlib import Path

    from airflow import settings
    from airflow.dag_processing.dagbag import BundleDagBag

    airflow_run_log.log_only(os.path.dirname(folder))
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = settings.DAGS_FOLDER = folder
    _forget_modules(os.path.dirname(folder))
    with airflow_run_log.import_errors() as errors, airflow_patches.refusing_duplicates():
        bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if errors and not tolerant:
        raise errors[0]
    if bag.import_errors and not tolerant:  # a cycle, or two DAGs with the same id
        message = "; ".join(bag.import_errors.values())
        raise ImportError(message.replace(f"{os.path.dirname(folder)}/", ""))
    return dict(bag.dags)


def _forget_modules(submission: str) -> None:
    """Make each load import the candidate's modules again, as Airflow's own processes do."""
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(f"{submission}{os.sep}"):
            del sys.modules[name]


def run(
    dag: Any,
    *,
    logical_date: str,
    run_after: str,
    interval: tuple[str, str] | None = None,
    variables: dict[str, str] | None = None,
    conf: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a loaded DAG once and return the result. Retries are not delayed.

    Dates are ISO 8601 with an offset. `interval` defaults to that of a manual run at
    `logical_date`. The values of variables are text. `failures` contains what tasks raise,
    except a NotImplementedError from the candidate's code, which is raised here. The state
    "running" means that the run got stuck.
    """
    from airflow import settings
    from airflow.sdk import timezone

    failures = airflow_run_log.Failures(os.path.dirname(settings.DAGS_FOLDER))
    dates = {"logical_date": logical_date, "run_after": run_after}
    given = {name: timezone.parse(date) for name, date in dates.items()}
    try:
        with ExitStack() as stack:
            stack.enter_context(_variables(variables or {}))
            stack.enter_context(failures.recorded(dag))
            stack.enter_context(airflow_patches.patched_for_run(dag, interval))
            stack.enter_context(airflow_patches.stopping_when_stuck())
            done = dag.test(**given, run_conf=conf)
    except airflow_patches.StuckError as e:
        done = e.run
    except airflow_run_log.UnwrittenError as e:
        raise e.error from None
    return airflow_structure.of_run(done) | {"failures": failures.records}


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Set these Airflow variables for the duration of the block."""
    given = {f"AIRFLOW_VAR_{name.upper()}": value for name, value in values.items()}
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)


def _use_home(home: str) -> None:
    import airflow.settings
    from airflow.configuration import AIRFLOW_HOME

    os.makedirs(home, exist_ok=True)
    shutil.copyfile(os.environ[TEMPLATE], os.path.join(home, "airflow.db"))
    if home != AIRFLOW_HOME:
        os.environ[HOME] = home
        os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home}/airflow.db"
        os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = f"{home}/logs"
        airflow.settings.configure_vars()
        airflow.settings.reconfigure_orm()
    airflow_patches.disable_fsync()


def _run_warm_dag(folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "warm.py"), "w") as file:
        file.write(_WARM_DAG)
    known = set(sys.modules)
    done = run(load(folder)["warm"], logical_date=_WARM_DATE, run_after=_WARM_DATE)
    if {failure["message"] for failure in done["failures"]} != {"once", "for good"}:
        raise RuntimeError(f"Airflow's warm-up failed: {done}")
    for name in set(sys.modules) - known:
        if name.startswith("unusual_prefix_"):  # the DAG's own module
            del sys.modules[name]
