# case 51: a DAG file that sleeps costs its time once, and is told the line
# exercise: q97
# outcome: all = candidate_error import
# told: time-out
# told: line 8
import time

time.sleep(60)
