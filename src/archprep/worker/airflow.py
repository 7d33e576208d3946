"""Airflow for probes: warmed up before the fork, then a home of the scenario's own, and DAG runs.

Airflow is imported inside functions: whoever imports this module need not have it. A run goes
through `dag.test()`, in this process; what came of it is told as plain data.
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

from . import airflow_patches as airflow_changed
from . import airflow_run_log as airflow_noted
from . import airflow_structure as airflow_facts

HOME = "AIRFLOW_HOME"
TEMPLATE = "ARCHPREP_AIRFLOW_TEMPLATE"  # the path of a migrated, empty metadata database

_WARM_DATE = "2025-01-01T00:00:00+00:00"
_WARM_DAG = '''
"""Does once what DAGs do, so that it is compiled and cached: airflow, dag."""
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
    def after(told):
        return told

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
    """Play a small DAG before the fork: importing, compiling and caching is done once for all.

    It leaves one thread, no connection to a database, and no file.
    """
    home, path = os.environ[HOME], list(sys.path)
    signals = (signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM)
    handlers = [(number, signal.getsignal(number)) for number in signals]
    gc.disable()  # hardly anything of it is garbage
    gc.freeze()  # nor of what was imported: the one collection to come need not look there
    _settle_in(home)
    airflow_changed.offer_one_api_version()
    airflow_changed.remember_dependencies()
    with airflow_changed.without_idle_threads():
        _play_warm_dag(os.path.join(home, "dags"))
    airflow_changed.come_to_rest()
    for number, handler in handlers:
        signal.signal(number, handler)
    sys.path[:] = path
    shutil.rmtree(home)
    gc.freeze()
    gc.enable()


def settle() -> None:
    """Give the scenario a metadata database of its own, in `airflow` below where it works."""
    _settle_in(os.path.abspath("airflow"))


def load(folder: str, *, tolerant: bool = False) -> dict[str, Any]:
    """Load the DAGs of a folder, by id. Before `settle()` there is no metadata database.

    What a file raises is raised here, unless `tolerant`; then its DAGs are missing.
    """
    from pathlib import Path

    from airflow import settings
    from airflow.dag_processing.dagbag import BundleDagBag

    airflow_noted.listen_to(os.path.dirname(folder))
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = settings.DAGS_FOLDER = folder
    _forget_modules(os.path.dirname(folder))
    with airflow_noted.import_errors() as errors, airflow_changed.refusing_duplicates():
        bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if errors and not tolerant:
        raise errors[0]
    if bag.import_errors and not tolerant:  # a cycle, or two DAGs of one name
        said = "; ".join(bag.import_errors.values())
        raise ImportError(said.replace(f"{os.path.dirname(folder)}/", ""))
    return dict(bag.dags)


def _forget_modules(submission: str) -> None:
    """Let each load import the candidate's modules afresh, as Airflow's own processes do."""
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
    """Run a loaded DAG once and tell what came of it. Retries wait for nothing.

    Dates are ISO 8601 with an offset. Without `interval` it is the one of a run that somebody
    triggers at `logical_date`. A variable's value is text, as one types it in. What a task
    raises is told, but for a NotImplementedError of the candidate's: that one is raised. A run
    whose state is "running" got stuck.
    """
    from airflow import settings
    from airflow.sdk import timezone

    failures = airflow_noted.Failures(os.path.dirname(settings.DAGS_FOLDER))
    dates = {"logical_date": logical_date, "run_after": run_after}
    given = {name: timezone.parse(date) for name, date in dates.items()}
    try:
        with ExitStack() as stack:
            stack.enter_context(_variables(variables or {}))
            stack.enter_context(failures.of(dag))
            stack.enter_context(airflow_changed.adapted(dag, interval))
            stack.enter_context(airflow_changed.ending_when_stuck())
            done = dag.test(**given, run_conf=conf)
    except airflow_changed.StuckError as e:
        done = e.run
    except airflow_noted.UnwrittenError as e:
        raise e.error from None
    return airflow_facts.of_run(done) | {"failures": failures.told}


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Let Airflow find these variables, and afterwards what it found before."""
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


def _settle_in(home: str) -> None:
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
    airflow_changed.forget_the_disk()


def _play_warm_dag(folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "warm.py"), "w") as file:
        file.write(_WARM_DAG)
    known = set(sys.modules)
    done = run(load(folder)["warm"], logical_date=_WARM_DATE, run_after=_WARM_DATE)
    if {failure["message"] for failure in done["failures"]} != {"once", "for good"}:
        raise RuntimeError(f"Airflow does not work here: {done}")
    for name in set(sys.modules) - known:
        if name.startswith("unusual_prefix_"):  # the DAG's own module
            del sys.modules[name]
