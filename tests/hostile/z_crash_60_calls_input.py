# case 60: input() reaches the end of the file and never hangs
# outcome: task 1 = candidate_error crash
# message: EOFError
from honest import fetch


def weigh(numbers):
    return int(input("numbers? "))
