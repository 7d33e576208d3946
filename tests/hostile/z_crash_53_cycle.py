# case 53: a cycle is reported in Airflow's words, without a traceback
# exercise: q97
# outcome: all = candidate_error crash
# message: Cycle detected in Dag: toy
# not printed: Traceback
# not printed: .py", line
from honest import dag

dag.get_task("double") >> dag.get_task("numbers")
