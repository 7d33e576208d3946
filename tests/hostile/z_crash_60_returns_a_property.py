# case 60: a property is no plain value, and the reason says so
# outcome: task 1 = candidate_error crash
# told: property
from honest import fetch


def weigh(numbers):
    return property(lambda self: sum(n * n for n in numbers))
