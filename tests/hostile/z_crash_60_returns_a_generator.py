# case 60: a generator is not plain data, and the reason says so
# outcome: task 1 = candidate_error crash
# message: generator
from honest import fetch


def weigh(numbers):
    yield 0
