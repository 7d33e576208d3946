"""Public examples: a first orientation. The hidden graders check every rule of README.md.

Run them with `pytest`. Your DAG runs in this process, with a database of its own in a temporary
folder: nothing of it reaches your own Airflow. The first run takes some ten seconds, for which
Airflow starts up; each other one takes one or two.
"""

import tempfile
from pathlib import Path

import airflow_local
import platform_api
import platform_local
import pytest

DAY = "2026-03-02"
STEPS = [f"process_tenant.{step}" for step in ("extract", "transform", "load")]

# The example of README.md.
ROWS = [
    {"id": "a-2", "updated_at": "2026-03-02T09:00:00+00:00", "amount": "10.005", "deleted": False},
    {"id": "a-1", "updated_at": "2026-03-02T10:30:00+02:00", "amount": "7.10", "deleted": False},
    {"id": "a-1", "updated_at": "2026-03-02T09:15:00+00:00", "amount": "7.235", "deleted": False},
    {"id": "a-10", "updated_at": "2026-03-03T01:59:59+00:00", "amount": "-0.5", "deleted": False},
    {"id": "a-3", "updated_at": "2026-03-02T11:00:00+00:00", "amount": "1.00", "deleted": False},
    {"id": "a-3", "updated_at": "2026-03-02T12:00:00+00:00", "amount": "1.00", "deleted": True},
    {"id": "a-4", "updated_at": "2026-03-03T02:00:00+00:00", "amount": "99.00", "deleted": False},
]
CLEANED = [
    {"id": "a-1", "amount_cents": 724},
    {"id": "a-10", "amount_cents": -50},
    {"id": "a-2", "amount_cents": 1000},
]


@pytest.fixture(scope="session")
def dag():
    with tempfile.TemporaryDirectory(prefix="airflow-") as home:
        airflow_local.prepare(Path(home))
        for tenant in ("ann", "ben", "cleo", "dora"):
            platform_local.add_rows(tenant, ROWS)
        yield airflow_local.load()


@pytest.fixture(scope="session")
def good_run(dag):
    """A run for two tenants, one of which is listed twice."""
    return airflow_local.run(dag, DAY, ["ann", "acme", "ann"])


@pytest.fixture(scope="session")
def bad_run(dag):
    """A run for ben and for dune, whose contract has ended."""
    platform_api.stage("somebody else's", airflow_local.start_of(DAY), ROWS)
    return airflow_local.run(dag, DAY, ["dune", "ben"])


def partition(tenant, day=DAY):
    return platform_local.partition(tenant, airflow_local.start_of(day))


def states(finished):
    """The states of all task instances, by task and label."""
    return {(ti.task_id, ti.rendered_map_index): ti.state for ti in finished.get_task_instances()}


# -- task 1: shape


def test_the_dag_has_its_tasks_and_its_schedule(dag):
    assert set(dag.task_ids) == {"get_tenants", *STEPS, "validate", "cleanup"}
    assert type(dag.timetable).__name__ == "CronDataIntervalTimetable"
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert {task.retries for task in dag.tasks if task.task_id != "cleanup"} == {3}


# -- task 2: mapping


def test_each_tenant_is_processed_once_and_its_tasks_bear_its_name(good_run):
    assert good_run.state == "success"
    assert platform_local.count("fetch", "ann") == 1
    assert states(good_run).items() >= {((step, "ann"), "success") for step in STEPS}


def test_without_tenants_there_is_nothing_to_do(dag):
    alerts = platform_local.alerts()
    finished = airflow_local.run(dag, DAY, None)
    assert finished.state == "success"
    assert states(finished).items() >= {((step, None), "skipped") for step in STEPS}
    assert platform_local.alerts() == alerts


# -- task 3: data


def test_the_example_of_the_readme(good_run):
    assert partition("ann") == CLEANED


# -- task 4: failure


def test_a_failing_tenant_costs_the_others_nothing(bad_run):
    assert bad_run.state == "failed"
    assert partition("ben") == CLEANED
    assert platform_local.count("fetch", "dune") == 1  # it is hopeless


def test_the_alert_names_the_failing_tenant(bad_run):
    assert ["dune"] in platform_local.alerts()


def test_a_failed_run_is_cleaned_up_and_stays_failed(bad_run):
    assert len(platform_api.staged()) == 1  # somebody else's
    assert bad_run.state == "failed"


def test_a_lost_connection_is_tried_again(dag):
    alerts = platform_local.alerts()
    platform_local.fail("fetch", "cleo", times=3)
    platform_local.fail("write", "cleo", times=1)
    assert airflow_local.run(dag, DAY, ["cleo"]).state == "success"
    assert partition("cleo") == CLEANED
    assert platform_local.alerts() == alerts


# -- task 5: backfill


def test_days_may_be_run_in_any_order_and_again(dag):
    for day in ("2026-03-03", DAY, DAY):
        airflow_local.run(dag, day, ["dora"])
    assert partition("dora") == CLEANED
    assert partition("dora", "2026-03-03") == [{"id": "a-4", "amount_cents": 9900}]
