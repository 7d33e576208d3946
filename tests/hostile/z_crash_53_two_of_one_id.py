# case 53: two DAGs of one id are refused: which of them Airflow keeps is chance
# exercise: q97
# outcome: all = candidate_error crash
# told: toy
# never printed: Traceback
from airflow.sdk import DAG
from honest import dag

empty = DAG("toy", schedule="@daily", tags=["toy"])
