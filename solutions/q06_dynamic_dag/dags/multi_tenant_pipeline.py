"""Brings each tenant's day from its source into its partition.

Parsing this file reads nothing. A run asks for the tenants, maps one group of tasks over them, and
ends with a verdict: `validate` compares who is there with who should be. All state is keyed by
tenant and data interval, so a run may be repeated, or made years later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
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

DAG_ID = "multi_tenant_pipeline"
EXTRACT, TRANSFORM, LOAD = (f"process_tenant.{step}" for step in ("extract", "transform", "load"))
WRITERS = 4  # that the warehouse takes at a time
TENANT_AS_LABEL = "{{ task.op_kwargs.tenant }}"  # op_kwargs: has what is passed by keyword only

# ValueError: data that cannot be read, such as a broken Variable, does not mend itself.
_HOPELESS = ExceptionRetryPolicy(
    [RetryRule([platform_api.Permanent, ValueError], RetryAction.FAIL, reason="hopeless")]
)


@task
def get_tenants() -> list[str]:
    """Return the distinct tenants of the Variable; no Variable, or null, means nobody."""
    # deserialize_json=True would take invalid JSON for a missing Variable: a green run of nobody.
    names = json.loads(Variable.get("active_tenants", default="null"))
    if not isinstance(names, list | None):  # the letters of a text would do as tenants, too
        raise AirflowFailException(f"active_tenants is not a list of tenants: {names!r}")
    return sorted(set(names or ()))


@task_group
def process_tenant(tenant: str) -> XComArg:
    """Extract, transform and load one tenant; between the steps go refs, never rows."""
    raw = extract(tenant=tenant)
    cleaned = transform(tenant=tenant, raw=raw)
    return load(tenant=tenant, cleaned=cleaned)


@task(map_index_template=TENANT_AS_LABEL)
def extract(tenant: str) -> str:
    """Stage what was updated in the interval and return the ref."""
    start, end = _interval()
    return platform_api.stage(tenant, start, platform_api.fetch(tenant, start, end))


@task(map_index_template=TENANT_AS_LABEL)
def transform(tenant: str, raw: str) -> str:
    """Stage what belongs into the partition and return the ref."""
    start, _ = _interval()
    return platform_api.stage(tenant, start, clean(platform_api.read(raw)))


# Not per run: a backfill may have several runs at a time, whatever max_active_runs says.
@task(map_index_template=TENANT_AS_LABEL, max_active_tis_per_dag=WRITERS)
def load(tenant: str, cleaned: str) -> str:
    """Replace the partition and return the tenant, as the receipt that `validate` asks for."""
    start, end = _interval()
    rows = platform_api.read(cleaned)
    # In the task that writes, so that a retry begins anew as well.
    platform_api.begin_partition(tenant, start)
    platform_api.write(tenant, start, end, rows)
    return tenant


@task(trigger_rule=TriggerRule.ALL_DONE)
def validate(expected: list[str] | None) -> None:
    """Unless every tenant is loaded: raise the alert, and fail the run."""
    missing = sorted(set(expected or ()) - set(_returned_by(LOAD)))
    if missing or expected is None:  # None: get_tenants itself has failed
        platform_api.alert(f"{DAG_ID} {get_current_context()['run_id']}", missing)
        # Never retried, and so the alert is not repeated.
        raise AirflowFailException(f"not loaded: {missing or 'it is not known whom to load'}")


@teardown
def cleanup() -> None:
    """Release what this run has staged, whatever became of it."""
    for ref in _returned_by(EXTRACT, TRANSFORM):
        platform_api.release(ref)


@dag(
    dag_id=DAG_ID,
    doc_md=__doc__,
    # A plain "0 2 * * *" would make intervals of length 0.
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["team-data-platform", "domain-tenants", "env-production"],
    default_args={
        "owner": "data-platform",
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=30),
        "retry_policy": _HOPELESS,
        "execution_timeout": timedelta(hours=2),
    },
)
def multi_tenant_pipeline() -> None:
    """Map the group over the tenants, then judge, then clean up."""
    tenants = get_tenants()
    process_tenant.expand(tenant=tenants) >> validate(tenants) >> cleanup()


def clean(rows: Iterable[platform_api.Row]) -> list[platform_api.Row]:
    """Keep the last version of each id, unless it is a deletion; sorted by id, amounts in cents."""
    latest: dict[str, platform_api.Row] = {}
    for row in sorted(rows, key=lambda row: datetime.fromisoformat(row["updated_at"])):
        latest[row["id"]] = row
    return [
        {"id": key, "amount_cents": _cents(row["amount"])}
        for key, row in sorted(latest.items())
        if not row["deleted"]
    ]


def _cents(amount: str) -> int:
    return int((Decimal(amount) * 100).to_integral_value(ROUND_HALF_EVEN))


def _interval() -> tuple[datetime, datetime]:
    """The run's data interval: the only time there is, today as in a backfill."""
    context = get_current_context()
    return context["data_interval_start"], context["data_interval_end"]


def _returned_by(*task_ids: str) -> list[Any]:
    """What the instances of these tasks have returned, as far as they got."""
    # A sequence of ids: asked for one id as a text, xcom_pull returns the bare value if there is
    # only one instance with a value, as with one tenant or one survivor.
    values = get_current_context()["ti"].xcom_pull(task_ids=task_ids)
    return [value for value in values if value is not None]


multi_tenant_pipeline()
