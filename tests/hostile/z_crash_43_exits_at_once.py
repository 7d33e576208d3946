# case 43: no connection waits for a server that has exited
# exercise: q98
# outcome: all = candidate_error crash
# message: exit status 0
# within: 4 seconds
import os


def make_app(vault=None, name=""):
    os._exit(0)
