# case 2: an exception that is no error ends its own scenario only
# outcome: task 1 = candidate_error crash
from honest import fetch


def weigh(numbers):
    raise SystemExit(0)
