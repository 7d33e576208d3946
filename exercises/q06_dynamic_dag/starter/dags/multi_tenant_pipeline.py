"""Write your DAG here. README.md has the rules.

Fixed are the id of the DAG and those of its tasks: get_tenants, process_tenant.extract,
process_tenant.transform, process_tenant.load, validate, cleanup. Whatever makes these functions
tasks of a DAG, their parameters and what they return are yours to decide.

Run the public examples with `pytest`, and the graders with `archprep check`.
"""

from __future__ import annotations

from airflow.sdk import dag


def get_tenants() -> list[str]:
    """Return each tenant of the Variable `active_tenants` once; no tenants if there are none."""
    raise NotImplementedError("task 2: get_tenants() is yours to write")


def extract(tenant: str) -> str:
    """Fetch the tenant's rows of the data interval, stage them, and return the ref."""
    raise NotImplementedError("task 3: extract() is yours to write")


def transform(tenant: str, raw: str) -> str:
    """Read the rows of `raw`, clean them, stage the result, and return its ref."""
    raise NotImplementedError("task 3: transform() is yours to write")


def load(tenant: str, cleaned: str) -> str:
    """Make the tenant's partition hold the rows of `cleaned`, and nothing else."""
    raise NotImplementedError("task 3: load() is yours to write")


def process_tenant(tenant: str) -> None:
    """Extract, transform and load one tenant: a group of three tasks."""
    raise NotImplementedError("task 2: process_tenant() is yours to write")


def validate() -> None:
    """Fail the run if a tenant is not loaded, and alert once, with the names of all of these."""
    raise NotImplementedError("task 4: validate() is yours to write")


def cleanup() -> None:
    """Release all that this run has staged, whatever became of it."""
    raise NotImplementedError("task 4: cleanup() is yours to write")


@dag(dag_id="multi_tenant_pipeline", schedule=None)
def multi_tenant_pipeline() -> None:
    """Put the tasks together. So far, there are none."""


multi_tenant_pipeline()
