# case 60: a generator is no plain value, and the reason says so
# outcome: task 1 = candidate_error crash
# told: generator
from honest import fetch


def weigh(numbers):
    yield 0
