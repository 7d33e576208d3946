# case 2: a BaseException ends only its scenario
# outcome: task 1 = candidate_error crash
from honest import fetch


def weigh(numbers):
    raise GeneratorExit
