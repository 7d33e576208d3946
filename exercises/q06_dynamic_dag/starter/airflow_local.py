"""Runs your DAG in this process: no scheduler, no server. It is given, and not graded.

    python airflow_local.py 2026-03-02                              for acme, bolt and čapek
    python airflow_local.py 2026-03-02 2026-03-01 --tenants acme dune
    python platform_local.py                                        what the platform holds now

Airflow's database and the stand-in of the platform are kept in the folder .local; delete it to
begin anew. Retries follow at once. Limits on concurrency have no effect here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DAG_ID = "multi_tenant_pipeline"


def prepare(home: Path) -> None:
    """Let Airflow and the platform keep in `home` what they keep; airflow is not imported yet."""
    if "airflow" in sys.modules:
        raise RuntimeError("airflow was imported before airflow_local.prepare() was called")
    home.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "PLATFORM_HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Two secrets of one process: they protect nothing.
        "AIRFLOW__CORE__FERNET_KEY": "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of use to this process only, and to nobody else",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",  # `_explain` says it shorter
    }
    if not (home / "migrated").exists():
        from airflow.utils.db import initdb

        initdb()
        (home / "migrated").touch()


def load() -> Any:
    """Parse dags/ as Airflow does and return your DAG; its retries have no pauses."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(HERE / "dags"))
    for error in bag.import_errors.values():
        raise ImportError(error)
    if DAG_ID not in bag.dags:
        raise LookupError(f"no file in dags/ makes a DAG of the id {DAG_ID}")
    dag = bag.dags[DAG_ID]
    for task in dag.tasks:
        task.retry_delay, task.retry_exponential_backoff = timedelta(0), 0
        task.on_retry_callback = [*_listed(task.on_retry_callback), _explain]
        task.on_failure_callback = [*_listed(task.on_failure_callback), _explain]
    return dag


def run(dag: Any, day: str, tenants: Sequence[str] | None) -> Any:
    """Run the data interval that begins at 02:00 UTC of `day`; return the finished DAG run.

    tenants: the value of the Variable; None: there is no such Variable.
    """
    os.environ.pop("AIRFLOW_VAR_ACTIVE_TENANTS", None)
    if tenants is not None:
        os.environ["AIRFLOW_VAR_ACTIVE_TENANTS"] = json.dumps(tenants)
    # What dag.test() makes is a manual run: its interval ENDS at its logical date.
    end = start_of(day) + timedelta(days=1)
    return dag.test(logical_date=end, run_after=end)


def start_of(day: str) -> datetime:
    """Return the instant at which the data interval of `day` begins."""
    return datetime.fromisoformat(f"{day}T02:00:00+00:00").astimezone(UTC)


def _listed(callbacks: Any) -> list[Any]:
    return list(callbacks) if isinstance(callbacks, Sequence) else [callbacks] if callbacks else []


def _explain(context: Any) -> None:
    """Print why an attempt failed, with your own lines of code."""
    ti, error = context["ti"], context.get("exception")
    lines = [f"{_name(ti)}, attempt {ti.try_number}: {type(error).__name__}: {error}"]
    for frame in traceback.extract_tb(getattr(error, "__traceback__", None)):
        if Path(frame.filename).is_relative_to(HERE) and "site-packages" not in frame.filename:
            place = Path(frame.filename).relative_to(HERE)
            lines.append(f"    {place}:{frame.lineno} in {frame.name}: {frame.line}")
    if len(lines) == 1 and error is not None:
        lines.append("    not in a line of yours: in a template of the task, or in Airflow itself")
    sys.stdout.write("\n".join(lines) + "\n")


def _name(ti: Any) -> str:
    index = -1 if ti.map_index is None else ti.map_index
    return ti.task_id if index < 0 else f"{ti.task_id}[{ti.rendered_map_index or index}]"


def _report(finished: Any) -> Iterator[str]:
    yield f"{finished.data_interval_start} to {finished.data_interval_end}: {finished.state}"
    instances = finished.get_task_instances()
    for ti in sorted(instances, key=lambda ti: (ti.end_date, ti.task_id, ti.map_index)):
        yield f"  {_name(ti):32} {ti.state:16} attempts: {ti.try_number}"


def main() -> None:
    """Run the days that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("days", nargs="+", metavar="DAY", help="like 2026-03-02")
    parser.add_argument("--tenants", nargs="*", default=["acme", "bolt", "čapek"])
    chosen = parser.parse_args()
    prepare(HERE / ".local")
    dag = load()
    for day in chosen.days:
        finished = run(dag, day, chosen.tenants)
        sys.stdout.write("\n".join(_report(finished)) + "\n")


if __name__ == "__main__":
    main()
