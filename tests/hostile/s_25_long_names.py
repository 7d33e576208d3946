# case 25: nor does an exception with an endless name cost more than its scenario
# outcome: task 1 = candidate_error crash
# told: XXXX
from honest import fetch


def weigh(numbers):
    raise type("X" * 3_000_000, (Exception,), {})("no such luck")
