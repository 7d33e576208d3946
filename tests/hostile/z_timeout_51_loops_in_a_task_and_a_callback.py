# case 51: an endless loop in a task or callback fails its run, and the line is reported
# exercise: q97
# outcome: task 2 = candidate_error timeout
# outcome: task 3 = candidate_error timeout
# message: line 15
# message: line 19
import pendulum
import vault
from airflow.sdk import DAG, task

start = pendulum.datetime(2025, 1, 1)


def callback(context):
    any(iter(int, 1))  # called where the vault refuses


def loop(given):
    any(iter(int, 1))  # called where it does not


with DAG("toy", schedule="@daily", start_date=start, tags=["toy"]):
    numbers = task(vault.numbers, task_id="numbers", retries=2, on_retry_callback=callback)
    task(loop, task_id="double")(numbers())
