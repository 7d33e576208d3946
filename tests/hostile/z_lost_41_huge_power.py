# case 41: a huge number takes the scenario's time or memory, not the judge's
# outcome: task 1 = candidate_error memory, candidate_error timeout
from honest import fetch


def weigh(numbers):
    return 9**9**9
