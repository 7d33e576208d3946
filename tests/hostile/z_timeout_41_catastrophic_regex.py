# case 41: a search that never ends, and holds the interpreter's lock, is ended from outside
# outcome: task 1 = candidate_error timeout
import re

from honest import fetch


def weigh(numbers):
    return len(re.match(r"(a+)+$", "a" * 60 + "b") or "")
