# case 41: an endless search that holds the interpreter's lock is killed from outside
# outcome: task 1 = candidate_error timeout
import re

from honest import fetch


def weigh(numbers):
    return len(re.match(r"(a+)+$", "a" * 60 + "b") or "")
