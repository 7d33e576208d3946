# case 52: an endless template fails the runs in which Airflow renders it
# exercise: q97
# outcome: task 2 = candidate_error timeout
# outcome: task 3 = candidate_error timeout
from honest import dag

LOOP = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"

dag.get_task("double").map_index_template = LOOP
