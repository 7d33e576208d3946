"""The structure of a DAG and the result of a run, as plain data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_COPIED_ATTRIBUTES = """
task_id retries pool pool_slots max_active_tis_per_dag max_active_tis_per_dagrun owner
is_setup is_teardown depends_on_past
""".split()
MAX_TASKS = 1000
_CALLBACKS = ("execute", "retry", "failure", "success", "skipped")
_DURATIONS = ("retry_delay", "max_retry_delay", "execution_timeout")


def of_dag(dag: Any) -> dict[str, Any]:
    """Return the structure of a parsed DAG; runs nothing.

    Raises ValueError if it has more than `MAX_TASKS` tasks.
    """
    if len(dag.tasks) > MAX_TASKS:
        raise ValueError(f"the DAG has {len(dag.tasks):,} tasks; at most {MAX_TASKS:,} are allowed")
    return {
        "dag_id": dag.dag_id,
        "timetable": _timetable(dag.timetable),
        "start_date": _iso(dag.start_date),
        "end_date": _iso(dag.end_date),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
        "dagrun_timeout": _seconds(dag.dagrun_timeout),
        "has_deadline": bool(dag.deadline),
        "callbacks": _callbacks(dag),
        "tags": sorted(map(str, dag.tags)),
        "tasks": [_task(task) for task in sorted(dag.tasks, key=lambda task: task.task_id)],
    }


def serialised(dag: Any) -> str:
    """Return a DAG as Airflow serializes it, with sorted keys, so that parses can be compared."""
    from airflow.serialization.serialized_objects import DagSerialization

    return json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)


def schedule(dag: Any, earliest: str, latest: str) -> list[dict[str, Any]]:
    """Return the runs that a scheduler would create between two logical dates, at most 100."""
    from itertools import islice

    from airflow.sdk import timezone
    from airflow.serialization.serialized_objects import DagSerialization

    restored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    runs = restored.iter_dagrun_infos_between(timezone.parse(earliest), timezone.parse(latest))
    return [
        {
            "logical_date": _iso(info.logical_date),
            "run_after": _iso(info.run_after),
            "interval": [_iso(date) for date in info.data_interval or (None, None)],
        }
        for info in islice(runs, 100)
    ]


def of_run(run: Any) -> dict[str, Any]:
    """Return the state of a run that has ended, its task instances and their XComs."""
    return {
        "state": str(run.state),
        "run_id": run.run_id,
        "logical_date": _iso(run.logical_date),
        "run_after": _iso(run.run_after),
        "interval": [_iso(run.data_interval_start), _iso(run.data_interval_end)],
        "tasks": [_instance(ti) for ti in sorted(run.get_task_instances(), key=_order)],
        "xcoms": _xcoms(run),
    }


def _timetable(timetable: Any) -> dict[str, Any]:
    from airflow.serialization.encoders import encode_timetable

    name = type(timetable).__name__
    try:
        encoded = encode_timetable(timetable)["__var"]
    except Exception:  # noqa: BLE001 - a class of the candidate's, unknown to Airflow
        return {"type": name}
    return {"type": name, **json.loads(json.dumps(encoded, default=str))}


def _task(task: Any) -> dict[str, Any]:
    mapped_group = task.get_closest_mapped_task_group()
    attributes = {name: getattr(task, name) for name in _COPIED_ATTRIBUTES}
    attributes |= {name: _seconds(getattr(task, name)) for name in _DURATIONS}
    return attributes | {
        "operator": task.task_type,
        "callbacks": _callbacks(task),
        "has_retry_policy": task.retry_policy is not None,
        "retry_exponential_backoff": _backoff(task.retry_exponential_backoff),
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "upstream": sorted(task.upstream_task_ids),
        "is_mapped": bool(task.is_mapped),
        "mapped_group": mapped_group.group_id if mapped_group else None,
        "map_index_template": getattr(task, "map_index_template", None),
    }


def _callbacks(owner: Any) -> list[str]:
    return [kind for kind in _CALLBACKS if getattr(owner, f"on_{kind}_callback", None)]


def _backoff(multiplier: Any) -> float:
    return 2.0 if multiplier is True else float(multiplier)  # as Airflow serializes it


def _instance(ti: Any) -> dict[str, Any]:
    return {
        "task": ti.task_id,
        "map_index": ti.map_index,
        "label": ti._rendered_map_index,  # the public one falls back to the number  # noqa: SLF001
        "state": None if ti.state is None else str(getattr(ti.state, "value", ti.state)),
        "tries": ti.try_number,
    }


def _order(ti: Any) -> tuple[str, int]:
    return ti.task_id, ti.map_index


def _xcoms(run: Any) -> list[dict[str, Any]]:
    """The stored XComs: task, map index, key and size in bytes."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import LargeBinary, cast, func, select

    size = func.length(cast(XComModel.value, LargeBinary))
    columns = (XComModel.task_id, XComModel.map_index, XComModel.key, size)
    wanted = select(*columns).where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id)
    with create_session() as session:
        rows = sorted(map(tuple, session.execute(wanted)))
    return [
        {"task": task, "map_index": index, "key": key, "bytes": length or 0}
        for task, index, key, length in rows
    ]


def _iso(date: datetime | None) -> str | None:
    return date.isoformat() if date else None


def _seconds(duration: timedelta | float | None) -> float | None:
    if duration is None or isinstance(duration, int | float):
        return duration
    return duration.total_seconds()
