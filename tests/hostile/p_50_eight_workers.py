# case 50: eight processes serve on one socket, and end with their scenario
# exercise: q98
# outcome: all = passed
import os

from honest import make_app as honest


def make_app(vault=None, name=""):
    if not (vault or name):  # a channel to the judge is good for one process
        for _ in range(7):
            if os.fork() == 0:
                break
    return honest(vault, name)
