# case 38: a daemon that keeps the output open neither delays the answer nor survives
# outcome: all = passed
import os
import time

from honest import fetch
from honest import weigh as honest


started = []


def weigh(numbers):
    if started:
        return honest(numbers)
    started.append(1)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    os.wait()
    return honest(numbers)
