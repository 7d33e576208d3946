# case 41: a text that fits into memory but not into a frame
# outcome: task 1 = candidate_error crash
# message: at most 1,048,576 are allowed
from honest import fetch


def weigh(numbers):
    return "a" * 100_000
