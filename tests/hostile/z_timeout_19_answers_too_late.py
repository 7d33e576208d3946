# case 19: an answer after the deadline does not count, even if it is right
# outcome: task 1 = candidate_error timeout
import os
import time

from honest import fetch
from honest import weigh as honest

answered = []


def weigh(numbers):
    if not answered:
        answered.append(1)
        if os.fork() != 0:
            os.waitpid(-1, 0)
            time.sleep(60)
        time.sleep(3)
    return honest(numbers)
