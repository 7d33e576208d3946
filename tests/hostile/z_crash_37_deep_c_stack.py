# case 37: recursion through C ends the scenario's process and nothing else
# outcome: task 1 = candidate_error crash
# told: SIGSEGV
import ctypes
import sys

from honest import fetch

sys.setrecursionlimit(10**9)


@ctypes.CFUNCTYPE(None)
def deeper():
    deeper()


def weigh(numbers):
    deeper()
