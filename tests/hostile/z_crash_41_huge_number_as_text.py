# case 41: a number of too many digits is not turned into text
# outcome: task 1 = candidate_error crash
# told: digits
from honest import fetch


def weigh(numbers):
    return 1 << 4_000_000
