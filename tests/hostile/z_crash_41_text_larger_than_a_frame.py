# case 41: a text that fits in memory but not in an answer
# outcome: task 1 = candidate_error crash
# told: at most 1,048,576 are allowed
from honest import fetch


def weigh(numbers):
    return "a" * 100_000
