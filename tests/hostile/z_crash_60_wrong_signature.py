# case 60: a wrong signature is named
# outcome: task 1 = candidate_error crash
# message: argument
from honest import fetch


def weigh():
    return 0
