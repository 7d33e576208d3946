"""Parses a DAG folder into Airflow's database, and chooses the run to trigger.

    python -m archprep.practice.run.dag_parser REQUEST FILE

REQUEST is JSON: the `folder` of the code, the `dag` to run, its `date`, the `variables` to set.
FILE receives JSON: the `errors` by file, the `dags` found, the `run` to trigger. archprep's own
process never imports Airflow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from archprep.core.files import write_atomically


def main(request: dict[str, Any], result: Path) -> None:
    """Do what `airflow dags reserialize` does, set the variables, and choose the run."""
    sys.path.append(request["folder"])
    errors, dags = _parse()
    _set_variables(request["variables"])
    run = _next_run(request["dag"], request["date"]) if request["dag"] in dags else {}
    write_atomically(result, json.dumps({"errors": errors, "dags": sorted(dags), "run": run}))


def _parse() -> tuple[dict[str, str], list[str]]:
    """Return the import errors by file, and the ids of all DAGs."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session

    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    dags: list[str] = []
    for bundle in manager.get_all_dag_bundles():
        bundle.initialize()
        bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        sync_bag_to_db(bag, bundle.name, bundle_version=None)
        dags += bag.dag_ids
    with create_session() as session:  # unlike the bag, this has serialization errors, too
        found = session.query(ParseImportError).all()
        return {str(error.filename): str(error.stacktrace) for error in found}, dags


def _set_variables(variables: dict[str, Any]) -> None:
    from airflow.models.variable import Variable

    for key, value in variables.items():
        Variable.set(key, value, serialize_json=not isinstance(value, str))


def _next_run(dag_id: str, date: str | None) -> dict[str, str]:
    """Return the next run of the schedule, or its first from a date on; empty without a schedule.

    A run that is triggered without these dates has a data interval that no scheduled run has.
    """
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import timezone
    from airflow.timetables.base import TimeRestriction

    dag = SerializedDagModel.get_dag(dag_id)
    at = None if date is None else timezone.parse(date, timezone=dag.timezone)
    if at is None:
        info = dag.next_dagrun_info(last_automated_run_info=None)
    else:
        since = TimeRestriction(earliest=at, latest=None, catchup=True)
        info = dag.timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=since)
    if info is None or info.data_interval is None:
        return {} if at is None else {"logical_date": at.isoformat()}
    start, end = (each.isoformat() for each in info.data_interval)
    return {"logical_date": start, "data_interval_start": start, "data_interval_end": end}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
