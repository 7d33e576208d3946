# case 51: a DAG file that sleeps costs its time once, and the line is reported
# exercise: q97
# outcome: all = candidate_error import
# message: time-out
# message: line 8
import time

time.sleep(60)
