# case 53: without a DAG, as where a function makes it that nobody calls, Airflow has none to run
# exercise: q97
# outcome: all = candidate_error crash
# told: the file makes no DAG of the id toy, but none
# never printed: Traceback
def make():
    from honest import dag

    return dag
