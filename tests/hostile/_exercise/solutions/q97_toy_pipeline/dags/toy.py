import pendulum
import vault
from airflow.sdk import DAG, task

with DAG("toy", schedule="@daily", start_date=pendulum.datetime(2025, 1, 1), tags=["toy"]) as dag:

    @task(retries=2)
    def numbers():
        return vault.numbers()

    @task(retries=2)
    def double(given):
        vault.put([2 * number for number in given])

    double(numbers())
