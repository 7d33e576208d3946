# case 60: a property is not plain data, and the reason says so
# outcome: task 1 = candidate_error crash
# message: property
from honest import fetch


def weigh(numbers):
    return property(lambda self: sum(n * n for n in numbers))
