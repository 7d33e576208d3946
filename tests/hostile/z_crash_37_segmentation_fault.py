# case 37: a fault of memory is a crash with its name
# outcome: task 1 = candidate_error crash
# told: SIGSEGV
import ctypes

from honest import fetch


def weigh(numbers):
    ctypes.string_at(8)
