# case 37: endless recursion ends at the limit of memory, of the stack or of time
# outcome: task 1 = candidate_error memory, candidate_error crash, candidate_error timeout
import sys

from honest import fetch

sys.setrecursionlimit(10**9)


def weigh(numbers):
    return weigh([*numbers, 1]) + 1
