# case 41: a text of 1 GB exceeds the limit while it is created
# outcome: task 1 = candidate_error memory
from honest import fetch


def weigh(numbers):
    return "a" * 10**9
