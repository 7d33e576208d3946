# case 30: an endless loop affects only its scenario
# outcome: task 1 = candidate_error timeout
from honest import fetch


def weigh(numbers):
    while True:
        pass
