# case 33: a single allocation that is too large is refused
# outcome: task 1 = candidate_error memory
from honest import fetch


def weigh(numbers):
    return len(bytearray(10 << 30))
