# case 53: a cycle is told in Airflow's words, without a traceback
# exercise: q97
# outcome: all = candidate_error crash
# told: Cycle detected in Dag: toy
# never printed: Traceback
# never printed: .py", line
from honest import dag

dag.get_task("double") >> dag.get_task("numbers")
