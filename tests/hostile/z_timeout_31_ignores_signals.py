# case 31: a process that ignores signals is killed all the same
# outcome: task 1 = candidate_error timeout
import contextlib
import signal
import time

from honest import fetch


def weigh(numbers):
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)
