# case 25: an exception with a very long name affects only its scenario
# outcome: task 1 = candidate_error crash
# message: XXXX
from honest import fetch


def weigh(numbers):
    raise type("X" * 3_000_000, (Exception,), {})("no such luck")
