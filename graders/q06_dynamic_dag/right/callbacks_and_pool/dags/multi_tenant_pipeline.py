"""The same pipeline in another style: operators in a `with DAG`, a pool, a callback that alerts."""

import functools
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal

import platform_api as platform
from airflow.exceptions import AirflowFailException
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Variable, task, task_group

WORK = dict(
    retries=3,
    retry_delay=timedelta(minutes=5),
    retry_exponential_backoff=True,
    max_retry_delay=timedelta(minutes=30),
    execution_timeout=timedelta(hours=2),
)


class Missing(AirflowFailException):
    def __init__(self, tenants):
        super().__init__("missing: " + ", ".join(tenants))
        self.tenants = tenants


def final(function):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except platform.Permanent as e:
            raise AirflowFailException(str(e)) from e

    return wrapped


def wake(context):
    error = context.get("exception")
    platform.alert(context["run_id"], getattr(error, "tenants", []))


def tidy(rows):
    best = {}
    for row in rows:
        at = datetime.fromisoformat(row["updated_at"])
        if row["id"] not in best or best[row["id"]][0] < at:
            best[row["id"]] = (at, row)
    kept = [row for _, row in best.values() if not row["deleted"]]
    cent = Decimal("0.01")
    return sorted(
        (
            {
                "id": row["id"],
                "amount_cents": int(
                    Decimal(row["amount"]).quantize(cent, ROUND_HALF_EVEN).scaleb(2)
                ),
            }
            for row in kept
        ),
        key=lambda row: row["id"],
    )


def every_value(ti, step):
    return [v for v in ti.xcom_pull(task_ids=["process_tenant." + step]) if v]


with DAG(
    "multi_tenant_pipeline",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["domain-billing", "env-test", "team-blue"],
    default_args={"owner": "team-blue"},
):

    @task(**WORK)
    def get_tenants():
        names = Variable.get("active_tenants", default=None, deserialize_json=True)
        return list(dict.fromkeys(names or []))

    @task_group
    def process_tenant(tenant):
        @task(map_index_template="{{ label }}", **WORK)
        @final
        def extract(name, **context):
            context["ti"].get_template_context()["label"] = name
            start, end = context["data_interval_start"], context["data_interval_end"]
            rows = platform.fetch(name, start, end)
            return {"tenant": name, "raw": platform.stage(name, start, rows)}

        @task(map_index_template="{{ label }}", **WORK)
        @final
        def transform(job, *, data_interval_start=None, ti=None):
            ti.get_template_context()["label"] = job["tenant"]
            rows = tidy(platform.read(job["raw"]))
            return {**job, "ref": platform.stage(job["tenant"], data_interval_start, rows)}

        @task(map_index_template="{{ label }}", pool="warehouse", **WORK)
        @final
        def load(job, data_interval_start=None, data_interval_end=None, ti=None):
            tenant = ti.get_template_context()["label"] = job["tenant"]
            platform.begin_partition(tenant, data_interval_start)
            rows = platform.read(job["ref"])
            for i in range(0, len(rows), 100):
                platform.write(tenant, data_interval_start, data_interval_end, rows[i : i + 100])
            return job

        load(transform(extract(tenant)))

    def check(ti, **_):
        done = {job["tenant"] for job in every_value(ti, "load")}
        if missing := [t for t in ti.xcom_pull(task_ids="get_tenants") if t not in done]:
            raise Missing(missing)

    def sweep(ti, **_):
        for job in every_value(ti, "extract"):
            platform.release(job["raw"])
        for job in every_value(ti, "transform"):
            platform.release(job["ref"])

    validate = PythonOperator(
        task_id="validate",
        python_callable=check,
        trigger_rule="all_done",
        on_failure_callback=wake,
        **WORK,
    )
    cleanup = PythonOperator(task_id="cleanup", python_callable=sweep)
    group = process_tenant.expand(tenant=get_tenants())
    group >> validate
    group >> cleanup.as_teardown()
