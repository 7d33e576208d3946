# case 60: the command line reveals nothing
# outcome: task 1 = failed
import sys

from honest import fetch


def weigh(numbers):
    return len(sys.argv)
