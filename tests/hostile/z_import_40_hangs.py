# case 40: an import that hangs costs its time once, not once per scenario
# outcome: all = candidate_error import
# message: time-out
# within: 2 seconds
import time

from honest import fetch, weigh

time.sleep(60)
