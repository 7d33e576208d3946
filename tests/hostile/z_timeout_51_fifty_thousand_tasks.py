# case 51: a DAG of 50,000 tasks takes too long, like any other slow code
# exercise: q97
# outcome: all = candidate_error import, candidate_error timeout
# message: had not finished after
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("toy", schedule="@daily", tags=["toy"]):
    for number in range(50_000):
        EmptyOperator(task_id=f"task_{number}")
