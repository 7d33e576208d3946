# case 60: printing is not returning
# outcome: task 1 = candidate_error protocol
# printed: 4
from honest import fetch


def weigh(numbers):
    print(4)
