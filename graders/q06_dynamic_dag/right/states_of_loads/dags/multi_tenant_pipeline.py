"""Bring the data of many tenants from their sources into the warehouse, day by day.

    get_tenants -> process_tenant[extract -> transform -> load] -> validate -> cleanup

Three decisions hold this together:

* Everything is keyed by (tenant, start of the data interval), and `load` always rebuilds the whole
  partition. So attempts, runs again and backfills end in the same bytes.
* `validate` is the only task that decides what becomes of the run. `cleanup` is a teardown: Airflow
  does not look at it when it decides whether a run has failed.
* What `validate` believes are the states of the `load`s, not what they have left in XCom: a load that
  is not run because its tenant has failed may still have the XCom of before it was cleared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import platform_api
from airflow.sdk import (
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TaskInstanceState,
    TriggerRule,
    Variable,
    dag,
    get_current_context,
    task,
    task_group,
    teardown,
)
from airflow.sdk.exceptions import AirflowFailException

Row = dict[str, Any]

DAG_ID = "multi_tenant_pipeline"

DEFAULT_ARGS = {
    "owner": "data-platform",
    "retries": 3,
    "retry_delay": timedelta(minutes=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "execution_timeout": timedelta(hours=2),
    # All other exceptions, Transient among them, are retried as usual.
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(platform_api.Permanent, RetryAction.FAIL, reason="it will not work, ever")]
    ),
}

# The name of the tenant where the UI would show 0, 1, 2. It needs no help from the task itself, so
# a task that fails in its first line is labelled as well.
LABEL = "{{ task.op_kwargs['tenant'] }}"


# ------------------------------------------------------------------ cleaning, without Airflow


def clean(rows: Iterable[Row]) -> list[Row]:
    """Return the last version of each row that is not deleted, as the warehouse wants it."""
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: _instant(row["updated_at"])):
        last[row["id"]] = row
    return [
        {"id": row_id, "amount_cents": _cents(row["amount"])}
        for row_id, row in sorted(last.items())
        if not row.get("deleted")
    ]


def _instant(text: str) -> tuple[datetime, Decimal]:
    """Return an ISO 8601 instant as something to sort by.

    The fraction goes apart: datetime would cut it after the microseconds.
    """
    fraction = re.search(r"[.,](\d+)", text)
    if fraction is None:
        return datetime.fromisoformat(text), Decimal(0)
    whole = text[: fraction.start()] + text[fraction.end() :]
    return datetime.fromisoformat(whole), Decimal(f"0.{fraction[1]}")


def _cents(amount: str) -> int:
    return int((Decimal(amount) * 100).to_integral_value(ROUND_HALF_EVEN))


# ------------------------------------------------------------------ tasks


def _interval() -> tuple[datetime, datetime]:
    """Return the data interval of this run: the only time that anything here depends on."""
    context = get_current_context()
    return context["data_interval_start"], context["data_interval_end"]


@task
def get_tenants() -> list[str]:
    """Return each tenant of the Variable `active_tenants` once; no tenants if there are none."""
    tenants = Variable.get("active_tenants", default=None, deserialize_json=True)
    return list(dict.fromkeys(tenants or []))


# In the three tasks of the group nothing may fail between `stage` and the return: the ref would be
# lost, and `cleanup` could not release it.


@task(map_index_template=LABEL)
def extract(tenant: str) -> str:
    """Fetch the tenant's rows of the data interval, stage them, and return the ref."""
    start, end = _interval()
    rows = platform_api.fetch(tenant, start, end)
    return platform_api.stage(tenant, start, rows)


@task(map_index_template=LABEL)
def transform(tenant: str, raw: str) -> str:
    """Read the rows of `raw`, clean them, stage the result, and return its ref."""
    start, _ = _interval()
    cleaned = clean(platform_api.read(raw))
    return platform_api.stage(tenant, start, cleaned)


# Of the two limits the one per DAG: a backfill brings its own number of runs at a time.
@task(map_index_template=LABEL, max_active_tis_per_dag=4)
def load(tenant: str, cleaned: str) -> None:
    """Make the tenant's partition hold the rows of `cleaned`, and nothing else.

    Each attempt begins anew, since a `write` that has failed may have left some rows. What may fail
    without harm comes first: `read`, before the partition is touched.
    """
    start, end = _interval()
    rows = platform_api.read(cleaned)
    platform_api.begin_partition(tenant, start)
    platform_api.write(tenant, start, end, rows)


@task_group
def process_tenant(tenant: str) -> None:
    """Extract, transform and load one tenant: a group of three tasks."""
    # By keyword: LABEL finds the tenant in op_kwargs.
    raw = extract(tenant=tenant)
    cleaned = transform(tenant=tenant, raw=raw)
    load(tenant=tenant, cleaned=cleaned)


@task(trigger_rule=TriggerRule.ALL_DONE)
def validate() -> None:
    """Fail the run if a tenant is not loaded, and alert once, with the names of all of these."""
    context = get_current_context()
    ti, run_id = context["ti"], context["run_id"]
    run_key = f"{DAG_ID}, data interval from {context['data_interval_start'].isoformat()}"

    tenants = ti.xcom_pull(task_ids="get_tenants")
    if tenants is None:
        platform_api.alert(run_key, [])
        raise AirflowFailException("get_tenants has failed: nobody knows whose data is missing")

    # The n-th instance of the group belongs to the n-th tenant.
    load_id = "process_tenant.load"
    states = ti.get_task_states(dag_id=DAG_ID, task_ids=[load_id], run_ids=[run_id])[run_id]
    missing = [
        tenant
        for number, tenant in enumerate(tenants)
        if states.get(f"{load_id}_{number}") != TaskInstanceState.SUCCESS
    ]
    if missing:
        platform_api.alert(run_key, missing)
        # Not to be retried: the second attempt would find the same, and wake somebody again.
        raise AirflowFailException(
            f"no data of {len(missing)} of {len(tenants)} tenants: {missing}"
        )


@teardown
def cleanup() -> None:
    """Release all that this run has staged, whatever became of it."""
    # Pulled, and not passed as arguments: refs of tenants that failed half-way count too. For a list
    # of task ids this is a flat list of what there is, with None for a task that left nothing.
    staging = ["process_tenant.extract", "process_tenant.transform"]
    for ref in get_current_context()["ti"].xcom_pull(task_ids=staging):
        if ref is not None:
            platform_api.release(ref)


@dag(
    dag_id=DAG_ID,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["team-data-platform", "domain-tenants", "env-prod"],
    default_args=DEFAULT_ARGS,
    doc_md=__doc__,
)
def multi_tenant_pipeline() -> None:
    """Put the tasks together."""
    process_tenant.expand(tenant=get_tenants()) >> validate() >> cleanup()


multi_tenant_pipeline()
