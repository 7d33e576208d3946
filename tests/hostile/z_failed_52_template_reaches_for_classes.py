# case 52: a template is text to the judge, and reaches nothing where Airflow renders it
# exercise: q97
# outcome: shape = failed
# outcome: task 2 = failed
# outcome: task 3 = failed
# message: {{ ''.__class__.__mro__ }}
# not printed: <class
import pendulum
import vault
from airflow.sdk import DAG, task

REACHES = "{{ ''.__class__.__mro__ }}"
start = pendulum.datetime(2025, 1, 1)

with DAG("toy", schedule="@daily", start_date=start, tags=[REACHES], doc_md=REACHES):
    numbers = task(vault.numbers, task_id="numbers", retries=2, map_index_template=REACHES)()
    task(lambda given, reached: vault.put(reached), task_id="double")(numbers, REACHES)
