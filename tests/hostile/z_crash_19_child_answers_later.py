# case 19: a scenario ends with its first process, and no other can answer for it
# outcome: task 1 = candidate_error crash
import os
import time

from honest import fetch


def weigh(numbers):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.1)
            return 0  # the probe goes on in here and answers
    os._exit(0)
