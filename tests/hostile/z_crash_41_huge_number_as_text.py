# case 41: a number with too many digits is not converted to text
# outcome: task 1 = candidate_error crash
# message: digits
from honest import fetch


def weigh(numbers):
    return 1 << 4_000_000
