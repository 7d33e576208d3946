# case 37: a segmentation fault is a crash that names its signal
# outcome: task 1 = candidate_error crash
# message: SIGSEGV
import ctypes

from honest import fetch


def weigh(numbers):
    ctypes.string_at(8)
