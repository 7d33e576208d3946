# case 60: input() meets the end of the file and never hangs
# outcome: task 1 = candidate_error crash
# told: EOFError
from honest import fetch


def weigh(numbers):
    return int(input("numbers? "))
