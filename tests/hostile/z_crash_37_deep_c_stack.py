# case 37: recursion through C ends only the scenario's process
# outcome: task 1 = candidate_error crash
# message: SIGSEGV
import ctypes
import sys

from honest import fetch

sys.setrecursionlimit(10**9)


@ctypes.CFUNCTYPE(None)
def deeper():
    deeper()


def weigh(numbers):
    deeper()
