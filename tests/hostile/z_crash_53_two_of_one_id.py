# case 53: two DAGs with the same id are refused, because Airflow would keep one at random
# exercise: q97
# outcome: all = candidate_error crash
# message: toy
# not printed: Traceback
from airflow.sdk import DAG
from honest import dag

empty = DAG("toy", schedule="@daily", tags=["toy"])
