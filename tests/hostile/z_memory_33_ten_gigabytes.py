# case 33: what is too much at once is refused
# outcome: task 1 = candidate_error memory
from honest import fetch


def weigh(numbers):
    return len(bytearray(10 << 30))
