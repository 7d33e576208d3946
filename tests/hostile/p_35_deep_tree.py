# case 35: a tree of 5,000 folders is deleted with its scenario
# outcome: all = passed
import os

from honest import fetch
from honest import weigh as honest

dug = []


def weigh(numbers):
    if not dug:
        dug.append(1)
        for _ in range(5000):
            os.mkdir("d")
            os.chdir("d")
    return honest(numbers)
