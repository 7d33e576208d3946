# case 53: a DAG created in a function that is never called does not exist
# exercise: q97
# outcome: all = candidate_error crash
# message: the file makes no DAG of the id toy, but none
# not printed: Traceback
def make():
    from honest import dag

    return dag
