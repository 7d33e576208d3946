# case 33: slow growth ends at the same limit
# outcome: task 1 = candidate_error memory
from honest import fetch


def weigh(numbers):
    kept = []
    while True:
        kept.append(bytearray(1 << 20))
